/**
 * Checks the certificate chain from a signing key to one of AMD's roots, and whether AMD has revoked a part of it.
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

/** A kind of key that signs reports: a VCEK belongs to a chip, a VLEK to a cloud. */
export type VekKind = "vcek" | "vlek";

/** A signing key's certificate and the chain to its root. */
export interface VekChain {
  readonly vek: Certificate;
  /** The certificate's statements about its key. */
  readonly extensions: VekExtensions;
  /** The certificate of the authority that signed it. */
  readonly authority: Certificate;
  /** The trusted root and authorities. */
  readonly anchor: AmdAnchor;
  /** The kind of the signing key. */
  readonly kind: VekKind;
}

const AUTHORITY_EXTENSIONS = [EXTENSION.keyUsage, EXTENSION.basicConstraints];
const COMMON_NAMES: Readonly<Record<VekKind, string>> = Object.freeze({ vcek: "SEV-VCEK", vlek: "SEV-VLEK" });
/** The processors of each line, by the name that certificates put before a hyphen and the stepping. */
const PRODUCT_NAMES: Readonly<Record<Product, readonly string[]>> = Object.freeze({
  milan: ["Milan"],
  genoa: ["Genoa", "Bergamo", "Siena"],
  turin: ["Turin"],
});

/**
 * Checks that a signing key's certificate is from AMD: the ASK or ASVK of a line of processors signed it, for its kind
 * of key.
 *
 * @param der The certificate.
 * @param kind The kind that the certificate must be of.
 * @param authority The ASK or ASVK that came with it, DER; empty to use the built-in one.
 * @param anchors The trusted roots and authorities.
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
 * Checks that neither the authority nor the root is revoked. AMD publishes only the revocation list of each line's
 * root. The list covers the certificates that the root signed; old keys of chips are recognised by their TCB.
 *
 * @param chain From {@linkcode checkVekChain}.
 * @param evidenceCrl The list that came with the evidence, DER, or empty. It is used only if this side has no list.
 * @param collateral This side's own documents.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/snp-collateral` if there is no list, `refused/snp-crl-…`, which names the file,
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

/** The name of a line's revocation list in the collateral: AMD's `/vcek/v1/PRODUCT/crl` or `/vlek/v1/PRODUCT/crl`. */
export function crlName(product: Product, kind: VekKind): string {
  return `amd-${product}-${kind}.crl`;
}

/**
 * Finds a document that must exist.
 *
 * @param name The document's name.
 * @param collateral Where to look for it.
 * @param purpose What the document tells, for the error.
 * @throws {BootstrapError} `refused/snp-collateral`, which names the file. A fact that cannot be checked counts as
 *   false.
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
  const message = `The ${kind.toUpperCase()} certificate is not from AMD's authority for such keys`;
  throw refusal("certificate-issuer", message, expected, nameText(issuer.attributes));
}

async function checkAuthority(authority: Certificate, kind: VekKind, anchor: AmdAnchor, now: Date): Promise<void> {
  const { subject } = anchor.authorities[kind];
  const isNamed = equalBytes(authority.subject.der, subject.der) &&
    equalBytes(authority.issuer.der, anchor.ark.subject.der);
  if (!isNamed) {
    const seen = `${nameText(authority.subject.attributes)}, by ${nameText(authority.issuer.attributes)}`;
    const expected = `${nameText(subject.attributes)}, by ${nameText(anchor.ark.subject.attributes)}`;
    throw refusal("snp-authority-subject", "The signing key has another authority", expected, seen);
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
