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
import { contextTag, type DerReader, readDer, TAG } from "../../../certificate/der.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { nameText, sameName } from "../../../certificate/name.ts";
import { readPublicKey } from "../../../certificate/public_key.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import { equalBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { present } from "../../../platform/present.ts";
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
const MAXIMUM_SENT_SIGNATURES = 12;
/** A policy may list an authority of one name for each processor. This bounds the work for one machine. */
const MAXIMUM_LISTED_SIGNATURES = 1024;

/** The certificates between a certificate and an authority, lowest first. */
export type Path = readonly Certificate[];

/** The authorities that a path may use. They are untrusted. */
export interface Intermediates {
  /** Those that the machine sends. */
  readonly sent: readonly Certificate[];
  /** Those that the policy lists. */
  readonly listed: readonly Certificate[];
}

/** What a search for paths left out. */
export interface Climbed {
  /** Whether authorities were left untried, because there are too many of one name. */
  readonly isCutShort: boolean;
  /** An authority of the right name, and why its key cannot be used. */
  readonly unusable?: { readonly authority: Certificate; readonly error: BootstrapError };
}

/**
 * Finds the paths from a certificate up, lowest authority first. Each certificate of a path is signed by the next one.
 * Of several authorities of one name, the one with the key identifier that the certificate names comes first, and one
 * that the machine sends before one that the policy lists.
 *
 * @param certificate The certificate of an endorsement key.
 * @param visit Called for each certificate that is reached, with the path below it. It returns whether to stop.
 */
export async function climb(
  certificate: Certificate,
  { sent, listed }: Intermediates,
  visit: (top: Certificate, path: Path) => Promise<boolean>,
): Promise<Climbed> {
  const ofPolicy = distinct(listed);
  const ofMachine = distinct(sent).filter(({ der }) => !ofPolicy.some((other) => equalBytes(other.der, der)));
  const pools = [
    { authorities: ofMachine, left: MAXIMUM_SENT_SIGNATURES },
    { authorities: ofPolicy, left: MAXIMUM_LISTED_SIGNATURES },
  ];
  let isCutShort = false;
  let unusable: Climbed["unusable"];
  const rise = async (top: Certificate, path: Path): Promise<boolean> => {
    if (await visit(top, path)) return true;
    if (path.length >= MAXIMUM_INTERMEDIATES) return false;
    const candidates = pools.flatMap((pool) =>
      pool.authorities.filter((next) => !path.includes(next) && sameName(next.subject, top.issuer))
        .map((next) => ({ next, pool, rank: rankOf(top, next) }))
    ).sort((a, b) => a.rank - b.rank);
    for (const { next, pool } of candidates) {
      if (pool.left === 0) {
        isCutShort = true;
        continue;
      }
      pool.left--;
      const signed = await isSignedBy(top, next);
      if (signed instanceof BootstrapError) unusable = { authority: next, error: signed };
      else if (signed && await rise(next, [...path, next])) return true;
    }
    return false;
  };
  await rise(certificate, []);
  return { isCutShort, ...present("unusable", unusable) };
}

function distinct(certificates: readonly Certificate[]): readonly Certificate[] {
  return certificates.filter(({ der }, index) =>
    certificates.findIndex((other) => equalBytes(other.der, der)) === index
  );
}

/** Orders authorities of one name. Key identifiers are only hints (RFC 5280, 4.2.1.1), so none is left out. */
function rankOf(below: Certificate, authority: Certificate): number {
  const [wanted, own] = [authorityKeyIdentifier(below), subjectKeyIdentifier(authority)];
  if (wanted === undefined || own === undefined) return 1;
  return equalBytes(wanted, own) ? 0 : 2;
}

function authorityKeyIdentifier(certificate: Certificate): Uint8Array | undefined {
  return hint(certificate, EXTENSION.authorityKeyIdentifier, (reader) => {
    const fields = reader.inside();
    const tag = contextTag(0, "primitive");
    return fields.next(tag) ? fields.element(tag).content : undefined;
  });
}

function subjectKeyIdentifier(certificate: Certificate): Uint8Array | undefined {
  return hint(certificate, EXTENSION.subjectKeyIdentifier, (reader) => reader.element(TAG.octetString).content);
}

function hint(
  { extensions }: Certificate,
  oid: string,
  read: (reader: DerReader) => Uint8Array | undefined,
): Uint8Array | undefined {
  const extension = extensions.find((one) => one.oid === oid);
  if (extension === undefined) return undefined;
  try {
    return read(readDer(extension.value, "key identifier"));
  } catch {
    // A hint that cannot be read is none. The signature decides.
    return undefined;
  }
}

/** Whether an authority signed a certificate; the error if its key is of a type that cannot be used. */
async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean | BootstrapError> {
  try {
    await verifyCertificateSignature(certificate, issuer.spki);
    return true;
  } catch (error) {
    // Another authority of the name may be the signer; without one there is no path, and that is refused.
    return error instanceof BootstrapError && error.code === "refused/key-type" ? error : false;
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
