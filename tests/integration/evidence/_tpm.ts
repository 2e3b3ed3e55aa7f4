/**
 * Code that the tests with a software TPM share.
 *
 * @module
 */
import type { EkType } from "../../../attestation/kinds/tpm/templates.ts";

export { errorOf, flipped } from "../../../attestation/testing/evidence.ts";
export { createSoftwareMachine } from "../../../attestation/kinds/tpm/testing/tpm.ts";

/** What a policy trusts: an identity, or an authority together with the CN in its certificate. */
export type Trusted = { readonly identity: string } | { readonly issuerPem: string; readonly commonName: string };

/** A policy for a TPM whose PCR 4 is zero. */
export function createPolicyText(ekType: EkType, trusted: Trusted): string {
  const trust = "identity" in trusted
    ? { identities: [trusted.identity] }
    : { issuers: [{ certificate: pemBlock(trusted.issuerPem), attributes: { CN: trusted.commonName } }] };
  // JSON is YAML.
  return JSON.stringify({ version: 1, variant: "tpm", tpm: { ekType, pcrs: { 4: ["0".repeat(64)] }, trust } });
}

/** The PEM block alone, as GnuTLS writes the certificate as text in front of it. */
function pemBlock(text: string): string {
  return text.slice(text.indexOf("-----BEGIN"));
}
