/**
 * Certificate revocation lists, read strictly (RFC 5280, 5), and asked for one certificate.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, hex } from "../platform/bytes.ts";
import { refusal } from "./_refusal.ts";
import { verifySignedDer } from "./certificate_signature.ts";
import type { DerReader } from "./der.ts";
import { contextTag, derError, readDer, TAG } from "./der.ts";
import { keyUsage } from "./extensions.ts";
import { type Name, nameText, readName } from "./name.ts";
import type { AlgorithmIdentifier, Certificate, CertificateProfile, Extension } from "./x509.ts";
import { readAlgorithm, readExtensions } from "./x509.ts";

/** A list of revoked certificates. That it could be read says nothing about its truth: {@linkcode checkCrl} does. */
export interface Crl {
  /** The field or file that it came in, for errors. */
  readonly what: string;
  /** TBSCertList as it was signed. */
  readonly tbs: Bytes;
  /** Who signed it; the list is of certificates of that issuer. */
  readonly issuer: Name;
  /** When it was made. */
  readonly thisUpdate: Date;
  /** When there will be another; afterwards this one tells nothing. */
  readonly nextUpdate: Date;
  /** The content octets of the serial numbers that are revoked, or held, in hexadecimal. */
  readonly revoked: ReadonlySet<string>;
  /** The list's own extensions. */
  readonly extensions: readonly Extension[];
  /** How it was signed; the same inside the signed part and outside. */
  readonly signatureAlgorithm: AlgorithmIdentifier;
  /** The signature's octets. */
  readonly signature: Bytes;
}

/** 1 MiB, which holds some 25,000 entries. Intel's and AMD's have a few KiB. */
export const MAXIMUM_CRL_BYTES = 1 << 20;

const VERSION_2 = 1;
const MAXIMUM_SERIAL_BYTES = 21;
/**
 * Extensions that make a list one of something else than all certificates of its issuer, critical or not: deltaCRLIndicator,
 * issuingDistributionPoint (RFC 5280, 5.2.4, 5.2.5), and of an entry certificateIssuer (5.3.3).
 */
const PARTIAL: readonly string[] = ["2.5.29.27", "2.5.29.28", "2.5.29.29"];

/**
 * Reads a revocation list of version 1 or 2 with a date for the next one. Its signature is not verified.
 *
 * A list that covers only some certificates of its issuer, or those of others, cannot tell what is asked of it and is refused,
 * as is one with any critical extension.
 *
 * @param der The bytes, at most {@linkcode MAXIMUM_CRL_BYTES}.
 * @param what The field or file that they came in, for errors.
 * @param profile `vendor` for lists of hardware vendors: as for their certificates, and a list of no entries may be written.
 * @throws {BootstrapError} `malformed/der`, `refused/crl-extension`.
 */
export function readCrl(der: Uint8Array, what: string, profile: CertificateProfile = "strict"): Crl {
  const outer = readDer(der, what, MAXIMUM_CRL_BYTES).inside();
  const tbs = outer.element(TAG.sequence);
  const signatureAlgorithm = readAlgorithm(outer, what);
  const signature = outer.octetBits();
  outer.end();
  const body = readTbs(readDer(tbs.bytes, what, MAXIMUM_CRL_BYTES).inside(), what, profile);
  if (!equalBytes(body.signatureAlgorithm.der, signatureAlgorithm.der)) {
    throw derError(what, "its two signature algorithms differ");
  }
  return Object.freeze({ what, tbs: copyOf(tbs.bytes), ...body, signature });
}

/**
 * Checks that a list is by an issuer and tells something now. Afterwards {@linkcode checkNotRevoked} may ask it.
 *
 * @param crl The list.
 * @param issuer The certificate of the authority whose certificates are asked for, which is trusted already.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/crl-issuer`, `refused/crl-key-usage`, `refused/crl-signature`, `refused/crl-validity`,
 *   `refused/signature-algorithm`, `refused/key-type`, `malformed/…`.
 */
export async function checkCrl(crl: Crl, issuer: Certificate, now: Date): Promise<void> {
  if (!equalBytes(crl.issuer.der, issuer.subject.der)) {
    const [expected, seen] = [nameText(issuer.subject.attributes), nameText(crl.issuer.attributes)];
    throw refusal("crl-issuer", `The revocation list "${crl.what}" is of another issuer`, expected, seen);
  }
  const usages = keyUsage(issuer);
  if (usages !== undefined && !usages.has("cRLSign")) {
    const message = `The issuer of the revocation list "${crl.what}" may not sign any`;
    throw refusal("crl-key-usage", message, "cRLSign", [...usages].join(", ") || "none");
  }
  if (!await verifySignedDer(crl.tbs, crl.signatureAlgorithm, crl.signature, issuer.spki, crl.what)) {
    const message = `The revocation list "${crl.what}" is not signed by its issuer`;
    throw refusal("crl-signature", message, "a signature by the issuer's key", "another signature");
  }
  if (now < crl.thisUpdate || now > crl.nextUpdate) {
    const expected = `${crl.thisUpdate.toISOString()} to ${crl.nextUpdate.toISOString()}`;
    const message = `The revocation list "${crl.what}" does not tell what is revoked now`;
    throw refusal("crl-validity", message, expected, now.toISOString());
  }
}

/**
 * Checks that a certificate is not on a list.
 *
 * @param crl A list that {@linkcode checkCrl} let pass.
 * @param certificate A certificate of the list's issuer.
 * @throws {BootstrapError} `refused/certificate-revoked`; `refused/crl-issuer` if the list is not about such certificates.
 */
export function checkNotRevoked(crl: Crl, certificate: Certificate): void {
  if (!equalBytes(crl.issuer.der, certificate.issuer.der)) {
    const [expected, seen] = [nameText(certificate.issuer.attributes), nameText(crl.issuer.attributes)];
    throw refusal("crl-issuer", `The revocation list "${crl.what}" is of another issuer`, expected, seen);
  }
  const serial = hex(certificate.serialNumber);
  if (!crl.revoked.has(serial)) return;
  const subject = nameText(certificate.subject.attributes);
  throw refusal(
    "certificate-revoked",
    `The certificate of ${subject} is revoked by "${crl.what}"`,
    "not revoked",
    `serial number ${serial} revoked`,
  );
}

type Body = Omit<Crl, "what" | "tbs" | "signature">;

function readTbs(tbs: DerReader, what: string, profile: CertificateProfile): Body {
  const [order, choice] = profile === "strict" ? ["ascending", "by-year"] as const : ["any", "any"] as const;
  const isVersion2 = tbs.next(TAG.integer);
  if (isVersion2 && tbs.small(0xff) !== VERSION_2) throw derError(what, "it is a revocation list of a version above 2");
  const signatureAlgorithm = readAlgorithm(tbs, what);
  const issuer = readName(tbs, what, order);
  const thisUpdate = tbs.time(choice);
  if (!tbs.next(TAG.utcTime) && !tbs.next(TAG.generalizedTime)) {
    throw derError(what, "it does not say when the next one comes");
  }
  const nextUpdate = tbs.time(choice);
  const revoked = tbs.next(TAG.sequence) ? readEntries(tbs.inside(), what, isVersion2, profile) : new Set<string>();
  const extensions = isVersion2 && !tbs.atEnd ? readExtensions(tbs.inside(contextTag(0, "constructed")), what) : [];
  tbs.end();
  refusePartial(extensions, what);
  return { issuer, thisUpdate, nextUpdate, revoked, extensions, signatureAlgorithm };
}

function readEntries(list: DerReader, what: string, mayExtend: boolean, profile: CertificateProfile): Set<string> {
  const revoked = new Set<string>();
  if (list.atEnd && profile === "strict") throw derError(what, "its list of entries is empty");
  while (!list.atEnd) {
    const entry = list.inside();
    const serial = entry.integer();
    if (serial.length > MAXIMUM_SERIAL_BYTES || (serial[0] ?? 0) >= 0x80) {
      throw derError(what, "a serial number is negative or longer than 20 octets");
    }
    // What the date says does not matter: a revoked certificate was possibly never good.
    entry.time("any");
    if (mayExtend && !entry.atEnd) {
      refusePartial(readExtensions(readDer(entry.element().bytes, what), what), what);
    }
    entry.end();
    revoked.add(hex(serial));
  }
  return revoked;
}

function refusePartial(extensions: readonly Extension[], what: string): void {
  const unknown = extensions.find(({ oid, critical }) => critical || PARTIAL.includes(oid));
  if (unknown === undefined) return;
  const message = `The revocation list "${what}" has an extension that may limit what it covers`;
  throw refusal("crl-extension", message, "no critical extension, and a list of all certificates", unknown.oid);
}
