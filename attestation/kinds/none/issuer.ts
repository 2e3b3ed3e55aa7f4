import { hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { EvidenceIssuer } from "../../evidence.ts";

/** The payload size of evidence that proves nothing: the SHA-256 of the identity key's SPKI. */
export const INSECURE_IDENTITY_BYTES = 32;

/**
 * INSECURE, for development: "evidence" that proves nothing. It is bound to nothing, and anybody can copy it. In a Join,
 * the identity key's signature shows that the machine is the one that came before.
 *
 * @param identity The SHA-256 of the SPKI of the machine's identity key.
 * @throws {BootstrapError} `malformed/evidence` if it is not 32 bytes.
 */
export function createInsecureIssuer(identity: Uint8Array): EvidenceIssuer {
  if (identity.length !== INSECURE_IDENTITY_BYTES) {
    throw new BootstrapError("malformed/evidence", `An identity of variant none has ${INSECURE_IDENTITY_BYTES} bytes`);
  }
  return {
    variant: "none",
    isChallenged: false,
    identityIsKey: true,
    issue: () => Promise.resolve({ variant: "none", payload: identity }),
    activate: () =>
      Promise.reject(new BootstrapError("protocol/challenge", "Evidence of variant none has no challenge")),
    ownIdentity: () => Promise.resolve(hex(identity)),
  };
}
