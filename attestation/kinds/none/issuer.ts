import { hex, randomBytes } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { EvidenceIssuer } from "../../evidence.ts";

/** The payload size of evidence that proves nothing: 32 random bytes, which a node creates once and keeps. */
export const INSECURE_IDENTITY_BYTES = 32;

/** Creates a node's payload. Call it once for each node. */
export function createInsecureIdentity(): Bytes {
  return randomBytes(INSECURE_IDENTITY_BYTES);
}

/**
 * INSECURE, for development: "evidence" that proves nothing. It is bound to nothing, and anybody can copy it.
 *
 * @param identity The result of {@linkcode createInsecureIdentity} for this node, kept in its state folder.
 * @throws {BootstrapError} `malformed/evidence` if it is not 32 bytes.
 */
export function createInsecureIssuer(identity: Uint8Array): EvidenceIssuer {
  if (identity.length !== INSECURE_IDENTITY_BYTES) {
    throw new BootstrapError("malformed/evidence", `An identity of variant none has ${INSECURE_IDENTITY_BYTES} bytes`);
  }
  return {
    variant: "none",
    isChallenged: false,
    issue: () => Promise.resolve({ variant: "none", payload: identity }),
    activate: () =>
      Promise.reject(new BootstrapError("protocol/challenge", "Evidence of variant none has no challenge")),
    ownIdentity: () => Promise.resolve(hex(identity)),
  };
}
