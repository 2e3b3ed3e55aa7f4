/**
 * Reads X.509 certificates strictly (RFC 5280).
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
  /** The dotted OID. */
  readonly oid: string;
  /** The DER encoding with its parameters. Allow-lists compare it as a whole. */
  readonly der: Bytes;
}

/** An extension of a certificate or request. */
export interface Extension {
  /** The dotted OID of the type. */
  readonly oid: string;
  /** If true, a reader that does not know the extension must refuse the certificate. */
  readonly critical: boolean;
  /** The content of the OCTET STRING. Its form depends on the type. */
  readonly value: Bytes;
}

/** A certificate of version 3. A certificate that could be read is not yet trusted. */
export interface Certificate {
  /** The whole certificate, DER. */
  readonly der: Bytes;
  /** The signed TBSCertificate. */
  readonly tbs: Bytes;
  /**
   * The content octets of the serial number: two's complement, minimal, not negative, at most 20 octets and a sign
   * octet.
   */
  readonly serialNumber: Bytes;
  /** The signer. */
  readonly issuer: Name;
  readonly subject: Name;
  /** The first valid second. */
  readonly notBefore: Date;
  /** The last valid second. */
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Bytes;
  readonly publicKeyAlgorithm: AlgorithmIdentifier;
  /** At most one of each type. */
  readonly extensions: readonly Extension[];
  /** The signature algorithm. The signed part and the outer structure name the same. */
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Bytes;
  /** The rules by which the certificate was read, and by which its extensions are read. */
  readonly profile: CertificateProfile;
}

/**
 * How strictly a certificate is read. `strict` is RFC 5280 in DER. `vendor` forgives habits of hardware vendors, none of
 * which gives a certificate a second meaning: unsorted attributes in one RDN (Nuvoton), GeneralizedTime before 2050
 * (Alibaba), key usages that end in zero bits (Infineon, AMD) or have bits without a name (STMicroelectronics), and the
 * default FALSE written out (Intel).
 */
export type CertificateProfile = "strict" | "vendor";

/** 16 KiB: several times the largest known certificate of an endorsement key. */
export const MAXIMUM_CERTIFICATE_BYTES = 1 << 14;

const VERSION_3 = 2;
const MAXIMUM_SERIAL_BYTES = 21;
const MAXIMUM_EXTENSIONS = 32;

/**
 * Reads a certificate of version 3. It does not verify the signature.
 *
 * @param der The certificate, at most {@linkcode MAXIMUM_CERTIFICATE_BYTES}.
 * @param what The name of the field, for errors.
 * @param profile `vendor` only for certificates of hardware and their issuers.
 * @throws {BootstrapError} `malformed/der` for anything but the exact DER of such a certificate.
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
  const extensions = tbs.atEnd ? [] : readExtensions(tbs.inside(contextTag(3, "constructed")), what, profile);
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
 * Reads the Extensions (RFC 5280, 4.1) of a certificate or an extension request: at least one, at most one of each
 * type.
 *
 * @param outer A reader whose only element they are.
 * @param what The name of the field, for errors.
 * @param profile `vendor` forgives a mark that is FALSE.
 * @throws {BootstrapError} `malformed/der`.
 */
export function readExtensions(outer: DerReader, what: string, profile: CertificateProfile = "strict"): Extension[] {
  const list = outer.inside();
  outer.end();
  if (list.atEnd) throw derError(what, "its list of extensions is empty");
  const extensions: Extension[] = [];
  while (!list.atEnd) {
    const reader = list.inside();
    const oid = reader.oid();
    const isMarked = reader.next(TAG.boolean);
    const critical = isMarked && reader.boolean();
    if (isMarked && !critical && profile === "strict") {
      throw derError(what, "an extension is marked as not critical, which DER omits");
    }
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
