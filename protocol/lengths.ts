import { BootstrapError } from "../platform/errors.ts";

/** The length of a nonce in bytes: N_c and N_s of every exchange, and the nonce of an evidence file. */
export const NONCE_BYTES = 32;

/**
 * Returns a field of a peer's message if it has exactly the expected length.
 *
 * @throws {BootstrapError} `malformed/join-message` with `field`.
 */
export function checkLength(bytes: Uint8Array, length: number, field: string): Uint8Array {
  if (bytes.length === length) return bytes;
  throw new BootstrapError(
    "malformed/join-message",
    `Cannot read the message as "${field}" has ${bytes.length} bytes instead of ${length}`,
    { details: { field } },
  );
}
