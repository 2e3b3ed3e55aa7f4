/**
 * The way from an endorsement key's certificate up to an authority that a policy names, over intermediate authorities.
 * Those come from the policy or from the machine itself: Intel's on-die authorities exist once for each processor.
 *
 * @module
 */
import {
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
} from "../../../certificate/extensions.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { nameText, sameName } from "../../../certificate/name.ts";
import { readPublicKey } from "../../../certificate/public_key.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import { equalBytes } from "../../../platform/bytes.ts";
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";

/** Any certificate policy is acceptable (RFC 5280, 6.1.1 (c)), so the extension is not evaluated. */
const CERTIFICATE_POLICIES = "2.5.29.32";
/** DICE TcbInfo describes the firmware that holds the key, and limits nothing (TCG DICE Attestation, 6.1.1). */
const DICE_TCB_INFO = "2.23.133.5.4.1";

/** The critical extensions that certificates of endorsement keys and their authorities may have. */
export const EVALUATED: readonly string[] = [
  EXTENSION.keyUsage,
  EXTENSION.basicConstraints,
  EXTENSION.extKeyUsage,
  EXTENSION.subjectAltName,
  CERTIFICATE_POLICIES,
];

/** The most intermediate authorities between an endorsement key and the policy's authority. Intel has four. */
const MAXIMUM_INTERMEDIATES = 6;
/** A machine may send several authorities of one name. This bounds the work, whatever it sends. */
const MAXIMUM_SIGNATURES = 12;

/** The certificates between a certificate and an authority, lowest first. */
export type Path = readonly Certificate[];

/**
 * Finds the paths from a certificate up, lowest authority first. Each certificate of a path is signed by the next one.
 *
 * @param certificate The certificate of an endorsement key.
 * @param intermediates The authorities that a path may use. They are untrusted.
 * @param visit Called for each certificate that is reached, with the path below it. It returns whether to stop.
 */
export async function climb(
  certificate: Certificate,
  intermediates: readonly Certificate[],
  visit: (top: Certificate, path: Path) => Promise<boolean>,
): Promise<void> {
  const pool = intermediates.filter(({ der }, index) =>
    intermediates.findIndex((other) => equalBytes(other.der, der)) === index
  );
  let signatures = 0;
  const rise = async (top: Certificate, path: Path): Promise<boolean> => {
    if (await visit(top, path)) return true;
    if (path.length >= MAXIMUM_INTERMEDIATES) return false;
    for (const next of pool) {
      if (path.includes(next) || !sameName(next.subject, top.issuer)) continue;
      if (++signatures > MAXIMUM_SIGNATURES) return false;
      if (await isSignedBy(top, next) && await rise(next, [...path, next])) return true;
    }
    return false;
  };
  await rise(certificate, []);
}

async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  try {
    await verifyCertificateSignature(certificate, issuer.spki);
    return true;
  } catch {
    // Another authority of the name may be the signer; without one there is no path, and that is refused.
    return false;
  }
}

/**
 * Checks that an authority's certificate may certify endorsement keys, or authorities for them.
 *
 * @throws {BootstrapError} `refused/ek-issuer-…`, `refused/critical-extension`, `refused/key-type`, `malformed/der`.
 */
export function checkEkIssuer(certificate: Certificate): void {
  refuseUnknownCritical(certificate, [...EVALUATED, DICE_TCB_INFO]);
  const subject = nameText(certificate.subject.attributes);
  if (basicConstraints(certificate)?.isCa !== true) {
    throw refusal("ek-issuer-constraints", `The certificate of ${subject} is not that of a CA`, "CA true", "CA false");
  }
  const usages = keyUsage(certificate);
  if (usages?.has("keyCertSign") !== true) {
    throw refusal("ek-issuer-key-usage", `The CA ${subject} may not sign certificates`, "keyCertSign", listed(usages));
  }
  checkExtendedUsage("ek-issuer-usage", certificate);
  readPublicKey(certificate.spki, "authority");
}

/**
 * Checks that each authority of a path may certify what is below it.
 *
 * @param authorities The path and the policy's authority at its end.
 * @throws {BootstrapError} As {@linkcode checkEkIssuer}.
 */
export function checkAuthorities(authorities: Path): void {
  for (const [below, authority] of authorities.entries()) {
    checkEkIssuer(authority);
    const { pathLength = Infinity } = basicConstraints(authority) ?? {};
    if (below <= pathLength) continue;
    const message = `There are more authorities below ${nameText(authority.subject.attributes)} than it allows`;
    throw refusal("ek-issuer-constraints", message, `at most ${pathLength}`, String(below));
  }
}

/** Checks that a certificate is for endorsement keys, if it says what it is for. */
export function checkExtendedUsage(check: RefusalCheck, certificate: Certificate): void {
  const usages = extKeyUsage(certificate);
  if (usages === undefined || usages.includes(EXT_KEY_USAGE.tcgEkCertificate)) return;
  throw refusal(
    check,
    "The certificate is not for endorsement keys",
    EXT_KEY_USAGE.tcgEkCertificate,
    usages.join(", "),
  );
}

/** Formats key usages for people. */
export function listed(usages: ReadonlySet<string> | undefined): string {
  return usages === undefined ? "no key usage" : [...usages].join(", ") || "none";
}
