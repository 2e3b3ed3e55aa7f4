import type { Bytes } from "../platform/bytes.ts";
import { copyOf, hex } from "../platform/bytes.ts";
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

/** The length of what names one start of a founder's program. */
export const INSTANCE_BYTES = 16;

/**
 * Returns the instance that a peer says it is, hexadecimal.
 *
 * @throws {BootstrapError} `malformed/founder-message`.
 */
export function readInstance(instance: Uint8Array): string {
  if (instance.length === INSTANCE_BYTES) return hex(instance);
  throw malformedMessage("instance", `it has ${instance.length} bytes instead of ${INSTANCE_BYTES}`);
}
