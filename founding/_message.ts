import type { Bytes } from "../platform/bytes.ts";
import { copyOf } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";

/** The error for a field of a peer's message. */
export function malformedMessage(field: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/founder-message", `Cannot read "${field}" of another founder: ${reason}`, {
    details: { field },
  });
}

/**
 * Returns a peer's nonce.
 *
 * @throws {BootstrapError} `malformed/founder-message`.
 */
export function readNonce(nonce: Uint8Array): Bytes {
  if (nonce.length === NONCE_BYTES) return copyOf(nonce);
  throw malformedMessage("nonce", `it has ${nonce.length} bytes instead of ${NONCE_BYTES}`);
}
