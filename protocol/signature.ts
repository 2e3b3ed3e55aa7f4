/**
 * The protocol's signatures: over `label ‖ 00 ‖ tag ‖ 00 ‖ x`, by Ed25519 or by ECDSA with P-256 and SHA-256.
 *
 * @module
 */
import { signedBytes } from "./transcript.ts";
import type { SignatureTag } from "./transcript.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { SIGN_ALGORITHMS } from "../certificate/keys.ts";
import { readPublicKey, verifyWith } from "../certificate/public_key.ts";

/** The length of both kinds of signatures in bytes: Ed25519's own form, and r ‖ s (IEEE P1363). */
export const SIGNATURE_BYTES = 64;

/** Signs `x` for one purpose. */
export async function sign(keys: KeyPair, tag: SignatureTag, x: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(SIGN_ALGORITHMS[keys.type], keys.privateKey, signedBytes(tag, x)));
}

/**
 * Verifies a signature over `x` for one purpose.
 *
 * @param spki The signer's SPKI, DER.
 * @param tag The purpose.
 * @param x The bytes that must have been signed.
 * @param signature 64 bytes.
 * @throws {BootstrapError} `refused/signature` if the key did not sign `x` for that purpose; `refused/key-type` for any
 *   other type of key; `malformed/…` for an invalid key.
 */
export async function verify(
  spki: Uint8Array,
  tag: SignatureTag,
  x: Uint8Array,
  signature: Uint8Array,
): Promise<void> {
  const what = `${tag} key`;
  const { type } = readPublicKey(spki, what);
  if (type !== "ed25519" && type !== "p-256") {
    throw new BootstrapError("refused/key-type", `Cannot use the key of "${what}" as it must be Ed25519 or P-256`, {
      details: { check: "key-type", expected: "ed25519, p-256", seen: type },
    });
  }
  const isRight = signature.length === SIGNATURE_BYTES &&
    await verifyWith(
      type === "ed25519" ? SIGN_ALGORITHMS.ed25519 : SIGN_ALGORITHMS["p-256"],
      spki,
      signature,
      signedBytes(tag, x),
    );
  if (isRight) return;
  throw new BootstrapError("refused/signature", `The ${tag} signature is not by the expected key`, {
    details: {
      check: `${tag}-signature`,
      expected: "a signature by the key, over these bytes",
      seen: "another signature",
    },
  });
}
