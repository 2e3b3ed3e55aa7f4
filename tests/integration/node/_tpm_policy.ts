import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { systemClock } from "../../../platform/clock.ts";
import type { Swtpm } from "../../swtpm.ts";

/** The identity of a machine with this TPM. */
export async function identityOf(tpm: Swtpm): Promise<string> {
  const transport = await tpm.connect();
  try {
    return await createTpmIssuer(transport, "rsa2048", systemClock).ownIdentity("");
  } finally {
    transport.close();
  }
}

/** A policy that admits machines by their identities. */
export function policyOf(identities: readonly string[], controlPlanes: readonly string[]): string {
  // JSON is YAML.
  return JSON.stringify({
    version: 1,
    variant: "tpm",
    allowUnmeasuredImage: true,
    tpm: { ekType: "rsa2048", pcrs: { 0: ["0".repeat(64)] }, trust: { identities } },
    roles: { controlPlanes },
  });
}
