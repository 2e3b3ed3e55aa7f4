import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { NO_IDENTITY } from "../attestation/evidence.ts";
import { identityOfKey, readOrCreateIdentityKey } from "../protocol/node_keys.ts";

/**
 * Returns the identity by which a join service will know this machine, 64 hexadecimal digits. Where the kind of evidence
 * knows machines by a key, it is made if there is none yet.
 *
 * @param stateFolder The folder that lives as long as the machine.
 */
export async function machineIdentity(issuer: EvidenceIssuer, stateFolder: string): Promise<string> {
  if (issuer.identityIsKey !== true) return await issuer.ownIdentity(NO_IDENTITY);
  return await issuer.ownIdentity(await identityOfKey((await readOrCreateIdentityKey(stateFolder)).spki));
}
