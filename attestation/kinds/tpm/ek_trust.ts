/**
 * Decides whether a policy trusts an endorsement key. It does so by the key's identity, or by a certificate from an
 * authority that the policy names, with the attributes that the policy requires.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import {
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "../../../certificate/extensions.ts";
import { type Certificate, readCertificate } from "../../../certificate/x509.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { type NameAttribute, nameText } from "../../../certificate/name.ts";
import { equalBytes, hex } from "../../../platform/bytes.ts";
import type { EkType } from "./templates.ts";

/** An authority that certifies endorsement keys, and the attributes that its certificates must have. */
export interface EkIssuer {
  /**
   * The authority's certificate, which must have passed {@linkcode checkEkIssuer}. It is trusted as it is; its own
   * issuer does not matter.
   */
  readonly certificate: Certificate;
  /** Attributes that an endorsement key's certificate must have in its subject or alternative name. At least one. */
  readonly attributes: readonly NameAttribute[];
}

/** The endorsement keys that a policy trusts. */
export interface EkTrust {
  /** SHA-256 of each trusted SPKI, lower-case hexadecimal. */
  readonly identities: ReadonlySet<string>;
  readonly issuers: readonly EkIssuer[];
}

/** An endorsement key, as evidence shows it. */
export interface EkEvidence {
  readonly ekType: EkType;
  /** The key's SPKI, DER. */
  readonly spki: Uint8Array;
  /** SHA-256 of the SPKI, lower-case hexadecimal. */
  readonly identity: string;
  /** The key's certificate, DER; empty if it has none. */
  readonly certificate: Uint8Array;
}

/** Any certificate policy is acceptable (RFC 5280, 6.1.1 (c)), so the extension is not evaluated. */
const CERTIFICATE_POLICIES = "2.5.29.32";
const EVALUATED = [
  EXTENSION.keyUsage,
  EXTENSION.basicConstraints,
  EXTENSION.extKeyUsage,
  EXTENSION.subjectAltName,
  CERTIFICATE_POLICIES,
];
/** EK Credential Profile, 3.5.1: the key usage by which an endorsement key protects a seed. */
const KEY_USAGE_OF = Object.freeze(
  { rsa2048: "keyEncipherment", "ecc-p256": "keyAgreement", "ecc-p384": "keyAgreement" } as const,
);

/**
 * Checks that an authority's certificate may certify endorsement keys.
 *
 * @throws {BootstrapError} `refused/ek-issuer-…`, `refused/critical-extension`, `malformed/der`.
 */
export function checkEkIssuer(certificate: Certificate): void {
  refuseUnknownCritical(certificate, EVALUATED);
  if (basicConstraints(certificate)?.isCa !== true) {
    throw refusal("ek-issuer-constraints", "The certificate is not that of a CA", "CA true", "CA false");
  }
  const usages = keyUsage(certificate);
  if (usages?.has("keyCertSign") !== true) {
    throw refusal("ek-issuer-key-usage", "The CA may not sign certificates", "keyCertSign", listed(usages));
  }
  checkExtendedUsage("ek-issuer-usage", certificate);
}

/**
 * Checks that a policy trusts an endorsement key.
 *
 * @param trust The policy's trust.
 * @param key The key. If it has a certificate, the certificate must be for this key, even if its identity is trusted.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/ek-…`, `refused/certificate-signature`, `refused/critical-extension`, `malformed/der`.
 */
export async function checkEkTrust(trust: EkTrust, key: EkEvidence, now: Date): Promise<void> {
  const certificate = key.certificate.length === 0
    ? undefined
    : readCertificate(key.certificate, "endorsement key certificate", "vendor");
  if (certificate !== undefined && !equalBytes(certificate.spki, key.spki)) {
    const [expected, seen] = [hex(key.spki), hex(certificate.spki)];
    throw refusal("ek-certificate-key", "The endorsement key's certificate is for another key", expected, seen);
  }
  if (trust.identities.has(key.identity)) return;
  if (trust.issuers.length === 0) {
    throw refusal(
      "ek-identity",
      "The machine's identity is not in the policy",
      "an identity of the policy",
      key.identity,
    );
  }
  if (certificate === undefined) {
    throw refusal(
      "ek-certificate",
      "The endorsement key has no certificate",
      "a certificate",
      `none, for ${key.identity}`,
    );
  }
  await checkIssued(trust.issuers, certificate, key.ekType, now);
}

/** An authority may be listed more than once with different attributes. One matching entry is enough. */
async function checkIssued(
  issuers: readonly EkIssuer[],
  certificate: Certificate,
  ekType: EkType,
  now: Date,
): Promise<void> {
  const candidates = issuers.filter((issuer) => equalBytes(issuer.certificate.subject.der, certificate.issuer.der));
  let failure: unknown = refusal(
    "ek-issuer",
    "The endorsement key's certificate is from an authority that the policy does not name",
    issuers.map((issuer) => nameText(issuer.certificate.subject.attributes)).join("; "),
    nameText(certificate.issuer.attributes),
  );
  for (const issuer of candidates) {
    try {
      return await checkIssuedBy(issuer, certificate, ekType, now);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function checkIssuedBy(issuer: EkIssuer, certificate: Certificate, ekType: EkType, now: Date): Promise<void> {
  await verifyCertificateSignature(certificate, issuer.certificate.spki);
  refuseUnknownCritical(certificate, EVALUATED);
  checkValidity("ek-issuer-validity", issuer.certificate, now);
  checkValidity("ek-certificate-validity", certificate, now);
  if (basicConstraints(certificate)?.isCa === true) {
    throw refusal(
      "ek-certificate-constraints",
      "The endorsement key's certificate is that of a CA",
      "CA false",
      "CA true",
    );
  }
  const wanted = KEY_USAGE_OF[ekType];
  const usages = keyUsage(certificate);
  if (usages?.has(wanted) !== true) {
    throw refusal(
      "ek-certificate-key-usage",
      "The certificate is not that of an endorsement key",
      wanted,
      listed(usages),
    );
  }
  checkExtendedUsage("ek-certificate-usage", certificate);
  const attributes = attributesOf(certificate);
  for (const { oid, value } of issuer.attributes) {
    if (attributes.some((attribute) => attribute.oid === oid && attribute.value === value)) continue;
    const expected = nameText([{ oid, value }]);
    throw refusal("ek-attributes", "The certificate is of another machine", expected, nameText(attributes));
  }
}

/**
 * The attributes of the subject, and of directory names in the alternative names, where the TCG's profile puts them.
 */
function attributesOf(certificate: Certificate): readonly NameAttribute[] {
  const names = subjectAltName(certificate) ?? [];
  const alternative = names.flatMap((name) => name.type === "directoryName" ? name.value.attributes : []);
  return [...certificate.subject.attributes, ...alternative];
}

function checkExtendedUsage(check: RefusalCheck, certificate: Certificate): void {
  const usages = extKeyUsage(certificate);
  if (usages === undefined || usages.includes(EXT_KEY_USAGE.tcgEkCertificate)) return;
  throw refusal(
    check,
    "The certificate is not for endorsement keys",
    EXT_KEY_USAGE.tcgEkCertificate,
    usages.join(", "),
  );
}

function checkValidity(check: RefusalCheck, { notBefore, notAfter }: Certificate, now: Date): void {
  if (now >= notBefore && now <= notAfter) return;
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  throw refusal(check, "The certificate is not valid now", expected, now.toISOString());
}

function listed(usages: ReadonlySet<string> | undefined): string {
  return [...usages ?? []].join(", ") || "none";
}
