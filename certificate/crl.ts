/**
 * Reads certificate revocation lists strictly (RFC 5280, 5) and looks certificates up in them.
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

/** A list of revoked certificates. A list that could be read is not yet trusted: {@linkcode checkCrl} verifies it. */
export interface Crl {
  /** The name of its field or file, for errors. */
  readonly what: string;
  /** The signed TBSCertList. */
  readonly tbs: Bytes;
  /** The signer. The list covers certificates of this issuer. */
  readonly issuer: Name;
  /** The time of issue. */
  readonly thisUpdate: Date;
  /** The time of the next list. This list is out of date afterwards. */
  readonly nextUpdate: Date;
  /** The serial numbers of revoked or held certificates: their content octets, hexadecimal. */
  readonly revoked: ReadonlySet<string>;
  readonly extensions: readonly Extension[];
  /** The signature algorithm. The signed part and the outer structure name the same. */
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Bytes;
}

/** 1 MiB, which holds about 25,000 entries. The lists of Intel and AMD have a few KiB. */
export const MAXIMUM_CRL_BYTES = 1 << 20;

const VERSION_2 = 1;
const MAXIMUM_SERIAL_BYTES = 21;
/**
 * Extensions, critical or not, after which a list does not cover exactly the certificates of its issuer:
 * deltaCRLIndicator and issuingDistributionPoint of the list (RFC 5280, 5.2.4, 5.2.5), certificateIssuer of an entry
 * (5.3.3).
 */
const PARTIAL: readonly string[] = ["2.5.29.27", "2.5.29.28", "2.5.29.29"];
/** cRLNumber, which grows with each list (RFC 5280, 5.2.3). */
const CRL_NUMBER = "2.5.29.20";

/**
 * Reads a revocation list of version 1 or 2 that names the time of the next list. It does not verify the signature.
 *
 * A list that covers only some certificates of its issuer, or certificates of other issuers, cannot answer for a
 * certificate and is refused. So is a list with any critical extension.
 *
 * @param der The list, at most {@linkcode MAXIMUM_CRL_BYTES}.
 * @param what The name of the field or file, for errors.
 * @param profile `vendor` for lists of hardware vendors: it forgives the same as for their certificates, and an empty
 *   list of entries.
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
 * Checks that an issuer signed a list and that the list is valid now. Only then may {@linkcode checkNotRevoked} use it.
 *
 * @param crl The list.
 * @param issuer The certificate of the authority that issued the certificates in question. It is trusted already.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/crl-issuer`, `refused/crl-key-usage`, `refused/crl-signature`,
 *   `refused/crl-validity`, `refused/signature-algorithm`, `refused/key-type`, `malformed/…`.
 */
export async function checkCrl(crl: Crl, issuer: Certificate, now: Date): Promise<void> {
  if (!equalBytes(crl.issuer.der, issuer.subject.der)) {
    const [expected, seen] = [nameText(issuer.subject.attributes), nameText(crl.issuer.attributes)];
    throw refusal("crl-issuer", `The revocation list "${crl.what}" has another issuer`, expected, seen);
  }
  const usages = keyUsage(issuer);
  if (usages !== undefined && !usages.has("cRLSign")) {
    const message = `The issuer of the revocation list "${crl.what}" may not sign revocation lists`;
    throw refusal("crl-key-usage", message, "cRLSign", [...usages].join(", ") || "none");
  }
  if (!await verifySignedDer(crl.tbs, crl.signatureAlgorithm, crl.signature, issuer.spki, crl.what)) {
    const message = `The revocation list "${crl.what}" is not signed by its issuer`;
    throw refusal("crl-signature", message, "a signature by the issuer's key", "another signature");
  }
  if (now < crl.thisUpdate || now > crl.nextUpdate) {
    const expected = `${crl.thisUpdate.toISOString()} to ${crl.nextUpdate.toISOString()}`;
    const message = `The revocation list "${crl.what}" is not valid now`;
    throw refusal("crl-validity", message, expected, now.toISOString());
  }
}

/**
 * Checks that a certificate is not on a list.
 *
 * @param crl A list that {@linkcode checkCrl} accepted.
 * @param certificate A certificate of the list's issuer.
 * @throws {BootstrapError} `refused/certificate-revoked`; `refused/crl-issuer` if the certificate has another issuer.
 */
export function checkNotRevoked(crl: Crl, certificate: Certificate): void {
  if (!equalBytes(crl.issuer.der, certificate.issuer.der)) {
    const [expected, seen] = [nameText(certificate.issuer.attributes), nameText(crl.issuer.attributes)];
    throw refusal("crl-issuer", `The revocation list "${crl.what}" has another issuer`, expected, seen);
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

/**
 * Tells whether a list is newer than another one of the same issuer: by their numbers, if both have one (RFC 5280,
 * 5.2.3), and otherwise by their times of issue.
 */
export function isNewerCrl(crl: Crl, other: Crl): boolean {
  const [number, otherNumber] = [crlNumber(crl), crlNumber(other)];
  if (number !== undefined && otherNumber !== undefined && number !== otherNumber) return number > otherNumber;
  return crl.thisUpdate > other.thisUpdate;
}

function crlNumber({ extensions, what }: Crl): bigint | undefined {
  const extension = extensions.find(({ oid }) => oid === CRL_NUMBER);
  if (extension === undefined) return undefined;
  try {
    return BigInt(`0x0${hex(readDer(extension.value, what).unsigned())}`);
  } catch {
    // The list is signed, so its time of issue is as good.
    return undefined;
  }
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
    throw derError(what, "it does not name the time of the next list");
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
    // The revocation date does not matter: a revoked certificate may never have been good.
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
