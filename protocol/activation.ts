/**
 * The answer to a credential activation: `HMAC(s, A)`. It proves that the TPM of the evidence opened the challenge, on
 * this connection and for this statement.
 *
 * @module
 */
import { refusal } from "./refusal.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";

/** Computes the answer, 32 bytes: HMAC-SHA-256 over A1 or A2 with the secret as the key. */
export async function activationAnswer(secret: Uint8Array, statement: Uint8Array): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", copyOf(secret), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign(algorithm, key, copyOf(statement)));
}

/**
 * Checks a peer's answer.
 *
 * @throws {BootstrapError} `refused/activation` if the TPM of the endorsement key did not make the quote.
 */
export async function checkActivationAnswer(
  answer: Uint8Array,
  secret: Uint8Array,
  statement: Uint8Array,
): Promise<void> {
  if (!equalBytes(answer, await activationAnswer(secret, statement))) {
    const message = "The attestation key is not in the TPM of the endorsement key: the challenge was not opened";
    throw refusal("activation", message, "an answer made with the challenge's secret", "another answer");
  }
}
