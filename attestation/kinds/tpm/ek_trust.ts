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
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "../../../certificate/extensions.ts";
import { type Certificate, readCertificate } from "../../../certificate/x509.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { readDer } from "../../../certificate/der.ts";
import { type NameAttribute, nameText, sameName } from "../../../certificate/name.ts";
import { equalBytes, hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { certificateIn } from "./ek_certificate.ts";
import { checkAuthorities, checkExtendedUsage, climb, type Climbed, EVALUATED, listed, type Path } from "./ek_chain.ts";
import type { EkType } from "./templates.ts";

/** An authority that certifies endorsement keys, and the attributes that its certificates must have. */
export interface EkIssuer {
  /**
   * The authority's certificate, which must have passed `checkEkIssuer()`. It is trusted as it is; its own issuer does
   * not matter.
   */
  readonly certificate: Certificate;
  /** Attributes that an endorsement key's certificate must have in its subject or alternative name. At least one. */
  readonly attributes: readonly NameAttribute[];
  /** Whether this certificate, and those below it, count after they have expired. Default: no. */
  readonly allowExpired?: boolean;
}

/** The endorsement keys that a policy trusts. */
export interface EkTrust {
  /** SHA-256 of each trusted SPKI, lower-case hexadecimal. */
  readonly identities: ReadonlySet<string>;
  readonly issuers: readonly EkIssuer[];
  /** Authorities that may stand between an endorsement key and an issuer. They are trusted for nothing else. */
  readonly intermediates?: readonly Certificate[];
}

/** An endorsement key, as evidence shows it. */
export interface EkEvidence {
  readonly ekType: EkType;
  /** The key's SPKI, DER. */
  readonly spki: Uint8Array;
  /** SHA-256 of the SPKI, lower-case hexadecimal. */
  readonly identity: string;
  /** The key's certificate, as the TPM stores it; empty if it has none. */
  readonly certificate: Uint8Array;
  /** Certificates of authorities that the TPM stores, DER. Default: none. */
  readonly chain?: readonly Uint8Array[];
}

/** EK Credential Profile, 3.5.1: the key usage by which an endorsement key protects a seed. */
const KEY_USAGE_OF = Object.freeze(
  { rsa2048: "keyEncipherment", "ecc-p256": "keyAgreement", "ecc-p384": "keyAgreement" } as const,
);
/** Another identifier of an RSA key, which the EK Credential Profile allows (RFC 4055, 4.1). */
const RSAES_OAEP = "1.2.840.113549.1.1.7";

/**
 * Checks that a policy trusts an endorsement key. What the verdict does not need cannot end it: if the policy lists the
 * identity, a certificate that is unreadable or for another key is only remarked on.
 *
 * @param trust The policy's trust.
 * @param key The key.
 * @param now The time of day.
 * @returns Remarks, as sentences without a full stop.
 * @throws {BootstrapError} `refused/ek-…`, `refused/certificate-signature`, `refused/critical-extension`, `malformed/der`.
 */
export async function checkEkTrust(trust: EkTrust, key: EkEvidence, now: Date): Promise<readonly string[]> {
  if (trust.identities.has(key.identity)) {
    try {
      certificateOf(key);
      return [];
    } catch (error) {
      if (!(error instanceof BootstrapError)) throw error;
      return [`${error.message}. The policy trusts the machine by its identity, so the certificate does not matter`];
    }
  }
  if (trust.issuers.length === 0) {
    const message = "The machine's identity is not in the policy";
    throw refusal("ek-identity", message, "an identity of the policy", key.identity);
  }
  const certificate = certificateOf(key, ` or list its identity ${key.identity} in tpm.trust.identities`);
  if (certificate === undefined) {
    const message = "The endorsement key has no certificate";
    throw refusal("ek-certificate", message, "a certificate", `none, for ${key.identity}`);
  }
  return await checkIssued(trust, certificate, key, now);
}

/**
 * Reads the certificate of a key; `undefined` if it has none.
 *
 * @param otherWay What else would help, for the message.
 */
function certificateOf(key: EkEvidence, otherWay = ""): Certificate | undefined {
  if (key.certificate.length === 0) return undefined;
  let certificate: Certificate;
  try {
    certificate = readCertificate(certificateIn(key.certificate), "endorsement key certificate", "vendor");
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    const reason = error.message.replace(/^Cannot read "[^"]*" as /, "");
    const message = `The endorsement key's certificate cannot be read: ${reason}` +
      (otherWay === "" ? "" : `. Replace it,${otherWay}`);
    throw refusal("ek-certificate-form", message, "a certificate of X.509 version 3 in DER", reason);
  }
  if (isForKey(certificate, key.spki)) return certificate;
  const message = "The endorsement key's certificate is for another key";
  throw refusal("ek-certificate-key", message, hex(key.spki), hex(certificate.spki));
}

/** Whether a certificate is for a key, whichever identifier it gives an RSA key. */
function isForKey({ spki, publicKeyAlgorithm }: Certificate, key: Uint8Array): boolean {
  if (equalBytes(spki, key)) return true;
  return publicKeyAlgorithm.oid === RSAES_OAEP && equalBytes(keyIn(spki), keyIn(key));
}

function keyIn(spki: Uint8Array): Uint8Array {
  const reader = readDer(spki, "public key").inside();
  reader.element();
  return reader.octetBits();
}

/** An authority may be listed more than once with different attributes. One matching entry is enough. */
async function checkIssued(
  { issuers, intermediates = [] }: EkTrust,
  certificate: Certificate,
  key: EkEvidence,
  now: Date,
): Promise<readonly string[]> {
  const { certificates, remarks } = readChain(key.chain ?? []);
  let failure: unknown;
  let highest = certificate;
  let found: readonly string[] | undefined;
  const climbed = await climb(certificate, { sent: certificates, listed: intermediates }, async (top, path) => {
    highest = top;
    for (const issuer of issuers.filter((issuer) => sameName(issuer.certificate.subject, top.issuer))) {
      try {
        found = await checkIssuedBy(issuer, { certificate, path, top }, key.ekType, now);
        return true;
      } catch (error) {
        failure = error;
      }
    }
    return false;
  });
  if (found !== undefined) return [...remarks, ...found];
  throw failure ?? notNamed(issuers, certificate, highest, climbed);
}

function notNamed(
  issuers: readonly EkIssuer[],
  certificate: Certificate,
  highest: Certificate,
  { isCutShort, unusable }: Climbed,
): BootstrapError {
  const expected = issuers.map((issuer) => nameText(issuer.certificate.subject.attributes)).join("; ");
  const seen = nameText(highest.issuer.attributes);
  if (isCutShort) {
    return refusal(
      "ek-issuer",
      `Too many authorities have the name ${seen}, and none of those that were tried leads to one of the policy`,
      expected,
      seen,
      "List the machine's identity, or the authority that signed its certificate as one of tpm.trust.issuers",
    );
  }
  if (unusable !== undefined) {
    const name = nameText(unusable.authority.subject.attributes);
    return refusal(
      "ek-issuer",
      `The chain of the endorsement key's certificate leads over ${name}, whose key this version cannot use: ` +
        unusable.error.message,
      expected,
      name,
      "List the machine's identity in tpm.trust.identities",
    );
  }
  return highest === certificate
    ? refusal(
      "ek-issuer",
      "The endorsement key's certificate is from an authority that the policy does not name",
      expected,
      seen,
      "Add this authority to tpm.trust.issuers, or list it in tpm.trust.intermediates if one of the issuers " +
        "certified it, or list the machine's identity",
    )
    : refusal(
      "ek-issuer",
      "The chain of the endorsement key's certificate leads to an authority that the policy does not name",
      expected,
      seen,
    );
}

/** Reads the authorities that a machine sends. One that cannot be read is left out. */
function readChain(
  chain: readonly Uint8Array[],
): { readonly certificates: readonly Certificate[]; readonly remarks: readonly string[] } {
  const certificates: Certificate[] = [];
  const remarks: string[] = [];
  for (const [index, der] of chain.entries()) {
    try {
      certificates.push(readCertificate(der, `certificate ${index} of the endorsement key's chain`, "vendor"));
    } catch (error) {
      if (!(error instanceof BootstrapError)) throw error;
      remarks.push(error.message);
    }
  }
  return { certificates, remarks };
}

/** A certificate, the authorities above it, and the last of them, or the certificate itself. */
interface Chain {
  readonly certificate: Certificate;
  readonly path: Path;
  readonly top: Certificate;
}

async function checkIssuedBy(
  issuer: EkIssuer,
  { certificate, path, top }: Chain,
  ekType: EkType,
  now: Date,
): Promise<readonly string[]> {
  await verifyCertificateSignature(top, issuer.certificate.spki);
  refuseUnknownCritical(certificate, EVALUATED);
  const authorities = [...path, issuer.certificate];
  checkAuthorities(authorities);
  const remarks = [
    ...authorities.flatMap((authority) => checkValidity("ek-issuer-validity", authority, issuer, now)),
    ...checkValidity("ek-certificate-validity", certificate, issuer, now),
  ];
  if (basicConstraints(certificate)?.isCa === true) {
    const message = "The endorsement key's certificate is that of a CA";
    throw refusal("ek-certificate-constraints", message, "CA false", "CA true");
  }
  checkKeyUsage(certificate, KEY_USAGE_OF[ekType]);
  checkExtendedUsage("ek-certificate-usage", certificate);
  const attributes = attributesOf(certificate);
  for (const { oid, value } of issuer.attributes) {
    if (attributes.some((attribute) => attribute.oid === oid && attribute.value === value)) continue;
    const expected = nameText([{ oid, value }]);
    throw refusal(
      "ek-attributes",
      "The endorsement key's certificate lacks an attribute that the policy wants",
      expected,
      nameText(attributes),
    );
  }
  return remarks;
}

/**
 * Some chips have no key usage in their certificates, which the profile requires (ST33, NPCT6xx). The extended key
 * usage of endorsement keys then says what the key is for.
 */
function checkKeyUsage(certificate: Certificate, wanted: string): void {
  const usages = keyUsage(certificate);
  const isTold = usages === undefined
    ? extKeyUsage(certificate)?.includes(EXT_KEY_USAGE.tcgEkCertificate) === true
    : (usages as ReadonlySet<string>).has(wanted);
  if (isTold) return;
  const message = usages === undefined
    ? "The endorsement key's certificate has neither a key usage nor the extended key usage of endorsement keys"
    : `The key usage of the endorsement key's certificate lacks ${wanted}`;
  const expected = usages === undefined ? `${wanted}, or ${EXT_KEY_USAGE.tcgEkCertificate}` : wanted;
  const next = "If the machine is yours, list its identity in tpm.trust.identities";
  throw refusal("ek-certificate-key-usage", message, expected, listed(usages), next);
}

/**
 * The attributes of the subject, and of directory names in the alternative names, where the TCG's profile puts them.
 */
function attributesOf(certificate: Certificate): readonly NameAttribute[] {
  const names = subjectAltName(certificate) ?? [];
  const alternative = names.flatMap((name) => name.type === "directoryName" ? name.value.attributes : []);
  return [...certificate.subject.attributes, ...alternative];
}

/** Checks a validity. Returns a remark on a certificate that has expired, which the policy allows. */
function checkValidity(
  check: RefusalCheck,
  { notBefore, notAfter, subject }: Certificate,
  { allowExpired = false }: EkIssuer,
  now: Date,
): readonly string[] {
  if (now >= notBefore && now <= notAfter) return [];
  const whose = subject.attributes.length === 0 ? "the endorsement key" : nameText(subject.attributes);
  if (now > notAfter && allowExpired) {
    return [`The certificate of ${whose} expired on ${notAfter.toISOString()}, which allowExpired allows`];
  }
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  const message = now > notAfter
    ? `The certificate of ${whose} has expired`
    : `The certificate of ${whose} is not valid yet`;
  const next = now > notAfter
    ? "Check the clocks. If they are correct and you still trust the authority, set allowExpired: true at its entry " +
      "in tpm.trust.issuers, or list the machine's identity"
    : "";
  throw refusal(check, message, expected, now.toISOString(), next);
}
