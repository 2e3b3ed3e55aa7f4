/**
 * The way from a signing key's certificate to one of AMD's roots, and whether AMD has revoked something on it.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { checkCrl, checkNotRevoked, readCrl } from "../../../certificate/crl.ts";
import { ATTRIBUTE, nameText } from "../../../certificate/name.ts";
import { readPublicKey } from "../../../certificate/public_key.ts";
import { basicConstraints, EXTENSION, keyUsage, refuseUnknownCritical } from "../../../certificate/extensions.ts";
import { type Certificate, readCertificate } from "../../../certificate/x509.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { equalBytes } from "../../../platform/bytes.ts";
import type { Collateral, CollateralFile } from "../../collateral.ts";
import { prefixed } from "./_prefixed.ts";
import type { AmdAnchor, Product } from "./amd_roots.ts";
import { readVekExtensions, VEK_EXTENSIONS, type VekExtensions } from "./vek.ts";

/** A key that signs reports: of a chip, or of a cloud. */
export type VekKind = "vcek" | "vlek";

/** A signing key's certificate that leads to a root. */
export interface VekChain {
  /** The certificate. */
  readonly vek: Certificate;
  /** What it says of its key. */
  readonly extensions: VekExtensions;
  /** Whose authority signed it. */
  readonly authority: Certificate;
  /** What is trusted. */
  readonly anchor: AmdAnchor;
  /** What signs. */
  readonly kind: VekKind;
}

const AUTHORITY_EXTENSIONS = [EXTENSION.keyUsage, EXTENSION.basicConstraints];
const COMMON_NAMES: Readonly<Record<VekKind, string>> = Object.freeze({ vcek: "SEV-VCEK", vlek: "SEV-VLEK" });
/** The processors of each line, as certificates name them before a hyphen and the stepping. */
const PRODUCT_NAMES: Readonly<Record<Product, readonly string[]>> = Object.freeze({
  milan: ["Milan"],
  genoa: ["Genoa", "Bergamo", "Siena"],
  turin: ["Turin"],
});

/**
 * Checks that a signing key's certificate is AMD's: signed by the ASK or ASVK of a line of processors, for its kind of key.
 *
 * @param der The certificate.
 * @param kind What it must be of.
 * @param authority The ASK or ASVK that came with it, DER, or empty for the one that is built in.
 * @param anchors What is trusted.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/snp-…`: `certificate-issuer`, `certificate-signature`, `certificate-validity`,
 *   `certificate-constraints`, `certificate-key`, `certificate-subject`, `certificate-product`, `authority-…`,
 *   `critical-extension` and those of the signature; `malformed/der`, `malformed/snp-tcb`.
 */
export function checkVekChain(
  der: Uint8Array,
  kind: VekKind,
  authority: Uint8Array,
  anchors: readonly AmdAnchor[],
  now: Date,
): Promise<VekChain> {
  return prefixed(async () => {
    const vek = readCertificate(der, `${kind.toUpperCase()} certificate`, "vendor");
    const anchor = anchorOf(vek, kind, anchors);
    const issuer = authority.length === 0
      ? anchor.authorities[kind]
      : readCertificate(authority, "certificate of its authority", "vendor");
    await checkAuthority(issuer, kind, anchor, now);
    await verifyCertificateSignature(vek, issuer.spki);
    checkVek(vek, kind, now);
    const extensions = readVekExtensions(vek, kind, anchor.product);
    const [family = ""] = extensions.productName.split("-");
    if (!PRODUCT_NAMES[anchor.product].includes(family)) {
      const message = "The certificate is of a processor that its authority is not for";
      throw refusal(
        "snp-certificate-product",
        message,
        PRODUCT_NAMES[anchor.product].join(", "),
        extensions.productName,
      );
    }
    return { vek, extensions, authority: issuer, anchor, kind };
  });
}

/**
 * Checks that neither the authority nor the root is revoked. The list of a line's root is all that AMD publishes: it covers
 * what the root signed, while old keys of chips are told by their TCB.
 *
 * @param chain From {@linkcode checkVekChain}.
 * @param evidenceCrl The list that came with the evidence, DER, or empty. It counts only where this side has none.
 * @param collateral This side's own.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/snp-collateral` if there is no list, `refused/snp-crl-…`, naming the file,
 *   `refused/snp-certificate-revoked`, `malformed/der`.
 */
export function checkRevocation(
  { anchor, authority, kind }: VekChain,
  evidenceCrl: Uint8Array,
  collateral: Collateral,
  now: Date,
): Promise<void> {
  return prefixed(async () => {
    const name = crlName(anchor.product, kind);
    const own = await collateral.find(name);
    if (own === undefined && evidenceCrl.length === 0) throw missing(name, collateral, "what AMD has revoked");
    const { bytes, source } = own ?? { bytes: evidenceCrl, source: "revocation list of the evidence" };
    const crl = readCrl(bytes, source, "vendor");
    await checkCrl(crl, anchor.ark, now);
    checkNotRevoked(crl, authority);
    checkNotRevoked(crl, anchor.ark);
  });
}

/** The name of a line's revocation list among the collateral: AMD's `/vcek/v1/PRODUCT/crl` or `/vlek/v1/PRODUCT/crl`. */
export function crlName(product: Product, kind: VekKind): string {
  return `amd-${product}-${kind}.crl`;
}

/**
 * A document that there must be.
 *
 * @param name Its name.
 * @param collateral Where to look.
 * @param purpose What it tells.
 * @throws {BootstrapError} `refused/snp-collateral`, naming the file: what nobody can tell is not so.
 */
export async function findCollateral(name: string, collateral: Collateral, purpose: string): Promise<CollateralFile> {
  const file = await collateral.find(name);
  if (file === undefined) throw missing(name, collateral, purpose);
  return file;
}

function missing(name: string, collateral: Collateral, purpose: string): Error {
  const message = `Neither the evidence nor ${collateral.place} has "${name}", which tells ${purpose}`;
  const next = `Get it from AMD's key distribution service and put it into ${collateral.place}`;
  return refusal("snp-collateral", message, name, "none", next);
}

function anchorOf({ issuer }: Certificate, kind: VekKind, anchors: readonly AmdAnchor[]): AmdAnchor {
  const anchor = anchors.find(({ authorities }) => equalBytes(authorities[kind].subject.der, issuer.der));
  if (anchor !== undefined) return anchor;
  const expected = anchors.map(({ authorities }) => nameText(authorities[kind].subject.attributes)).join("; ");
  const message = `The ${kind.toUpperCase()} certificate is not of an authority of AMD's for such keys`;
  throw refusal("certificate-issuer", message, expected, nameText(issuer.attributes));
}

async function checkAuthority(authority: Certificate, kind: VekKind, anchor: AmdAnchor, now: Date): Promise<void> {
  const { subject } = anchor.authorities[kind];
  const isNamed = equalBytes(authority.subject.der, subject.der) &&
    equalBytes(authority.issuer.der, anchor.ark.subject.der);
  if (!isNamed) {
    const seen = `${nameText(authority.subject.attributes)}, by ${nameText(authority.issuer.attributes)}`;
    const expected = `${nameText(subject.attributes)}, by ${nameText(anchor.ark.subject.attributes)}`;
    throw refusal("snp-authority-subject", "The authority of the signing key is another", expected, seen);
  }
  await verifyCertificateSignature(authority, anchor.ark.spki);
  refuseUnknownCritical(authority, AUTHORITY_EXTENSIONS);
  if (basicConstraints(authority)?.isCa !== true) {
    throw refusal("snp-authority-constraints", "The authority of the signing key is not a CA", "CA true", "CA false");
  }
  const usages = keyUsage(authority);
  if (usages?.has("keyCertSign") !== true) {
    const seen = [...usages ?? []].join(", ") || "none";
    throw refusal("snp-authority-key-usage", "The authority of the signing key may not sign", "keyCertSign", seen);
  }
  checkValidity("snp-authority-validity", anchor.ark, now);
  checkValidity("snp-authority-validity", authority, now);
}

function checkVek(vek: Certificate, kind: VekKind, now: Date): void {
  refuseUnknownCritical(vek, [...VEK_EXTENSIONS, ...AUTHORITY_EXTENSIONS]);
  checkValidity("certificate-validity", vek, now);
  if (basicConstraints(vek)?.isCa === true) {
    throw refusal("certificate-constraints", "The signing key's certificate is that of a CA", "CA false", "CA true");
  }
  const { type } = readPublicKey(vek.spki, "signing key");
  if (type !== "p-384") throw refusal("certificate-key", "The signing key is of another kind", "p-384", type);
  const names = vek.subject.attributes.filter(({ oid }) => oid === ATTRIBUTE.commonName).map(({ value }) => value);
  if (names.length !== 1 || names[0] !== COMMON_NAMES[kind]) {
    const message = `The certificate is not of a ${kind.toUpperCase()}`;
    throw refusal("certificate-subject", message, COMMON_NAMES[kind], names.join(", ") || "none");
  }
}

function checkValidity(check: RefusalCheck, { notBefore, notAfter, subject }: Certificate, now: Date): void {
  if (now >= notBefore && now <= notAfter) return;
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  throw refusal(
    check,
    `The certificate of ${nameText(subject.attributes)} is not valid now`,
    expected,
    now.toISOString(),
  );
}
