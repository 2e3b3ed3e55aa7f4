/**
 * X.509 certificates, read strictly (RFC 5280).
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import type { DerReader } from "./der.ts";
import { contextTag, derError, readDer, TAG } from "./der.ts";
import { type Name, readName } from "./name.ts";

/** An algorithm identifier. */
export interface AlgorithmIdentifier {
  /** The algorithm, dotted. */
  readonly oid: string;
  /** The DER encoding with its parameters, which allow-lists compare as a whole. */
  readonly der: Bytes;
}

/** An extension of a certificate. */
export interface Extension {
  /** The type, dotted. */
  readonly oid: string;
  /** Whether whoever does not understand it must refuse the certificate. */
  readonly critical: boolean;
  /** The content of its OCTET STRING, in a form of its own. */
  readonly value: Bytes;
}

/** A certificate of version 3. That it could be read says nothing about its truth. */
export interface Certificate {
  /** The whole encoding. */
  readonly der: Bytes;
  /** TBSCertificate as it was signed. */
  readonly tbs: Bytes;
  /** The serial number's content octets: two's complement, minimal, not negative, at most 20 and a sign octet. */
  readonly serialNumber: Bytes;
  /** Who signed it. */
  readonly issuer: Name;
  /** Whom it is about. */
  readonly subject: Name;
  /** The first second of its validity. */
  readonly notBefore: Date;
  /** The last second of its validity. */
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Bytes;
  /** The algorithm of the SPKI. */
  readonly publicKeyAlgorithm: AlgorithmIdentifier;
  /** Its extensions, each type once. */
  readonly extensions: readonly Extension[];
  /** How it was signed; the same inside the signed part and outside. */
  readonly signatureAlgorithm: AlgorithmIdentifier;
  /** The signature's octets. */
  readonly signature: Bytes;
  /** By which rules it was read, and its extensions will be. */
  readonly profile: CertificateProfile;
}

/**
 * How a certificate keeps to the rules: `strict` is RFC 5280 in DER. `vendor` forgives three habits of hardware vendors, none
 * of which gives a certificate a second meaning: unsorted attributes in one RDN (Nuvoton), GeneralizedTime before 2050
 * (Alibaba), and key usages that end in zero bits (Infineon, AMD).
 */
export type CertificateProfile = "strict" | "vendor";

/** 16 KiB: several times the largest endorsement key certificate seen. */
export const MAXIMUM_CERTIFICATE_BYTES = 1 << 14;

const VERSION_3 = 2;
const MAXIMUM_SERIAL_BYTES = 21;
const MAXIMUM_EXTENSIONS = 32;

/**
 * Reads a certificate of version 3. Its signature is not verified.
 *
 * @param der The bytes, at most {@linkcode MAXIMUM_CERTIFICATE_BYTES}.
 * @param what The field that they came in, for errors.
 * @param profile `vendor` for certificates of hardware and their issuers only.
 * @throws {BootstrapError} `malformed/der` for everything that is not exactly the DER of such a certificate.
 */
export function readCertificate(der: Uint8Array, what: string, profile: CertificateProfile = "strict"): Certificate {
  const outer = readDer(der, what, MAXIMUM_CERTIFICATE_BYTES);
  const certificate = outer.inside();
  const tbs = certificate.element(TAG.sequence);
  const signatureAlgorithm = readAlgorithm(certificate, what);
  const signature = certificate.octetBits();
  certificate.end();
  const body = readTbs(tbs.bytes, what, profile);
  if (!equalBytes(body.signatureAlgorithm.der, signatureAlgorithm.der)) {
    throw derError(what, "its two signature algorithms differ");
  }
  return Object.freeze({ der: copyOf(der), tbs: copyOf(tbs.bytes), ...body, signature, profile });
}

type Body = Omit<Certificate, "der" | "tbs" | "signature" | "profile">;

function readTbs(der: Uint8Array, what: string, profile: CertificateProfile): Body {
  const [order, choice] = profile === "strict" ? ["ascending", "by-year"] as const : ["any", "any"] as const;
  const tbs = readDer(der, what).inside();
  if (!tbs.next(contextTag(0, "constructed"))) throw derError(what, "it is a certificate of version 1, not 3");
  const version = tbs.inside(contextTag(0, "constructed"));
  if (version.small(0xff) !== VERSION_3) throw derError(what, "it is not a certificate of version 3");
  version.end();
  const serialNumber = tbs.integer();
  if (serialNumber.length > MAXIMUM_SERIAL_BYTES || (serialNumber[0] ?? 0) >= 0x80) {
    throw derError(what, "its serial number is negative or longer than 20 octets");
  }
  const signatureAlgorithm = readAlgorithm(tbs, what);
  const issuer = readName(tbs, what, order);
  const validity = tbs.inside();
  const notBefore = validity.time(choice);
  const notAfter = validity.time(choice);
  validity.end();
  const subject = readName(tbs, what, order);
  const spki = tbs.element(TAG.sequence);
  const extensions = tbs.atEnd ? [] : readExtensions(tbs.inside(contextTag(3, "constructed")), what);
  tbs.end();
  return {
    serialNumber,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki: copyOf(spki.bytes),
    publicKeyAlgorithm: readSpkiAlgorithm(spki.bytes, what),
    extensions,
    signatureAlgorithm,
  };
}

function readSpkiAlgorithm(spki: Uint8Array, what: string): AlgorithmIdentifier {
  const reader = readDer(spki, what).inside();
  const algorithm = readAlgorithm(reader, what);
  reader.octetBits();
  reader.end();
  return algorithm;
}

/**
 * Reads Extensions (RFC 5280, 4.1), as a certificate and an extension request carry them: one at least, each type once.
 *
 * @param outer Where they are the only element.
 * @param what The field, for errors.
 * @throws {BootstrapError} `malformed/der`.
 */
export function readExtensions(outer: DerReader, what: string): Extension[] {
  const list = outer.inside();
  outer.end();
  if (list.atEnd) throw derError(what, "its list of extensions is empty");
  const extensions: Extension[] = [];
  while (!list.atEnd) {
    const reader = list.inside();
    const oid = reader.oid();
    const isMarked = reader.next(TAG.boolean);
    const critical = isMarked && reader.boolean();
    if (isMarked && !critical) throw derError(what, "an extension is marked as not critical, which DER leaves out");
    const value = reader.octets();
    reader.end();
    if (extensions.some((extension) => extension.oid === oid)) throw derError(what, `it has extension ${oid} twice`);
    extensions.push({ oid, critical, value });
    if (extensions.length > MAXIMUM_EXTENSIONS) {
      throw derError(what, `it has more than ${MAXIMUM_EXTENSIONS} extensions`);
    }
  }
  return extensions;
}

/** Reads the next element as an AlgorithmIdentifier. */
export function readAlgorithm(reader: DerReader, what: string): AlgorithmIdentifier {
  const { bytes } = reader.element(TAG.sequence);
  const inside = readDer(bytes, what).inside();
  const oid = inside.oid();
  if (!inside.atEnd) inside.element();
  inside.end();
  return { oid, der: copyOf(bytes) };
}
