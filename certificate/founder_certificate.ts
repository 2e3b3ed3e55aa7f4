/**
 * The certificate of a founder's key F: self-signed, for both ends of etcd's mutual TLS, and its own trust anchor.
 *
 * @module
 */
import { equalBytes, hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { mintCertificate } from "./_mint.ts";
import { refusal } from "./_refusal.ts";
import { verifyCertificateSignature } from "./certificate_signature.ts";
import {
  type AlternativeName,
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "./extensions.ts";
import type { KeyPair } from "./keys.ts";
import { ATTRIBUTE, type NameAttribute, nameText, sameAttributes } from "./name.ts";
import { readPublicKey } from "./public_key.ts";
import { type Certificate, readCertificate } from "./x509.ts";

/** Several times the size of such a certificate. A card has one for each founder. */
export const MAXIMUM_FOUNDER_CERTIFICATE_BYTES = 2_048;

const SUBJECT: readonly NameAttribute[] = Object.freeze([
  Object.freeze({ oid: ATTRIBUTE.commonName, value: "bootstrapper-founder" }),
]);
/** No clock decides whether founders meet: the certificate is valid in any year. */
const NOT_BEFORE = new Date("1970-01-01T00:00:00Z");
/** "No well-defined expiration date" (RFC 5280, 4.1.2.5). */
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");
/** Where a founder's own client reaches its own etcd. */
const LOOPBACK = "127.0.0.1";
const USAGES = [EXT_KEY_USAGE.serverAuth, EXT_KEY_USAGE.clientAuth] as const;
const EVALUATED = [EXTENSION.keyUsage, EXTENSION.basicConstraints, EXTENSION.extKeyUsage, EXTENSION.subjectAltName];

/**
 * Makes the certificate of a founder's key.
 *
 * @param keys F, P-256.
 * @param host The host of the founder's address: an IP address or a DNS name, without brackets.
 */
export function createFounderCertificate(keys: KeyPair, host: string): Promise<Certificate> {
  const names = namesOf(host);
  return mintCertificate({
    subject: SUBJECT,
    spki: keys.spki,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: USAGES,
    dnsNames: names.flatMap((name) => name.type === "dns" ? [name.value] : []),
    addresses: names.flatMap((name) => name.type === "ip" ? [name.value] : []),
  }, { keys });
}

/**
 * Checks a founder's certificate: it has exactly the form that {@linkcode createFounderCertificate} makes for that host,
 * and its own key signed it.
 *
 * @param der The certificate, as received.
 * @param host The host of the address on the founder's card.
 * @throws {BootstrapError} `malformed/…`, `refused/certificate-…`, `refused/critical-extension`, `refused/key-type`.
 */
export async function checkFounderCertificate(der: Uint8Array, host: string): Promise<Certificate> {
  const certificate = readFounderCertificate(der);
  refuseUnknownCritical(certificate, EVALUATED);
  expect("certificate-constraints", "may not be a CA", "CA false", basicConstraints(certificate), ({ isCa }) => !isCa);
  expect(
    "certificate-key-usage",
    "may sign, and nothing else",
    "digitalSignature",
    keyUsage(certificate),
    (usages) => usages.size === 1 && usages.has("digitalSignature"),
  );
  expect(
    "certificate-usage",
    "must be for servers and clients",
    USAGES.join(", "),
    extKeyUsage(certificate),
    (usages) => usages.length === USAGES.length && USAGES.every((usage, index) => usages[index] === usage),
  );
  const expected = namesOf(host).map(nameForm);
  expect(
    "certificate-names",
    "must be for the address on its card",
    expected.join(", "),
    subjectAltName(certificate)?.map(nameForm),
    (names) => names.join() === expected.join(),
  );
  await verifyCertificateSignature(certificate, certificate.spki);
  return certificate;
}

/**
 * Reads a founder's certificate, without its names, usages and signature: a P-256 key, its own issuer, and valid for ever.
 *
 * @throws {BootstrapError} `malformed/…`, `refused/certificate-subject`, `refused/certificate-issuer`,
 *   `refused/certificate-validity`, `refused/key-type`.
 */
export function readFounderCertificate(der: Uint8Array): Certificate {
  if (der.length > MAXIMUM_FOUNDER_CERTIFICATE_BYTES) {
    const limit = `${MAXIMUM_FOUNDER_CERTIFICATE_BYTES} bytes`;
    throw new BootstrapError("malformed/size", `Cannot read a founder's certificate as it is larger than ${limit}`);
  }
  const certificate = readCertificate(der, "founder's certificate");
  const { subject, issuer, notBefore, notAfter, spki } = certificate;
  if (!sameAttributes(subject.attributes, SUBJECT)) {
    const seen = nameText(subject.attributes);
    throw refusal("certificate-subject", "A founder's certificate has another subject", nameText(SUBJECT), seen);
  }
  if (!equalBytes(issuer.der, subject.der)) {
    const seen = nameText(issuer.attributes);
    throw refusal("certificate-issuer", "A founder's certificate is not its own issuer", nameText(SUBJECT), seen);
  }
  if (notBefore.getTime() !== NOT_BEFORE.getTime() || notAfter.getTime() !== NOT_AFTER.getTime()) {
    throw refusal(
      "certificate-validity",
      "A founder's certificate must be valid in every year",
      `${NOT_BEFORE.toISOString()} to ${NOT_AFTER.toISOString()}`,
      `${notBefore.toISOString()} to ${notAfter.toISOString()}`,
    );
  }
  const { type } = readPublicKey(spki, "founder's key");
  if (type !== "p-256") throw refusal("key-type", "A founder's key must be P-256", "p-256", type);
  return certificate;
}

function namesOf(host: string): AlternativeName[] {
  const address = addressBytes(host);
  const loopback: AlternativeName = { type: "ip", value: Uint8Array.from(LOOPBACK.split(".").map(Number)) };
  const own: AlternativeName = address === undefined ? { type: "dns", value: host } : { type: "ip", value: address };
  return nameForm(own) === nameForm(loopback) ? [loopback] : [own, loopback];
}

function nameForm(name: AlternativeName): string {
  if (name.type === "dns") return name.value;
  return name.type === "ip" ? hex(name.value) : name.type;
}

type CertificateCheck = "constraints" | "key-usage" | "usage" | "names";

function expect<T>(
  check: `certificate-${CertificateCheck}`,
  rule: string,
  expected: string,
  seen: T | undefined,
  isRight: (seen: T) => boolean,
): void {
  if (seen !== undefined && isRight(seen)) return;
  const text = seen === undefined ? "nothing" : seen instanceof Set ? [...seen].join(", ") : JSON.stringify(seen);
  throw refusal(check, `A founder's certificate ${rule}`, expected, text);
}
