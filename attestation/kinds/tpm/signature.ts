/**
 * TPMT_SIGNATURE, the signature of a quote (TPM 2.0 Part 2, 11.3.4).
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { ALGORITHM } from "./constants.ts";
import { readCoordinate } from "./public_area.ts";
import { tpmReader } from "./wire.ts";

const P256_BYTES = 32;
const WHAT = "quote's signature";

/**
 * Reads one ECDSA signature with SHA-256 over P-256. The bytes must contain nothing else.
 *
 * @returns r ‖ s, 64 bytes. s may be in the upper half, because TPMs do not normalise it.
 * @throws {BootstrapError} `refused/signature-algorithm` for any other scheme or hash, `malformed/tpm`.
 */
export function readSignature(bytes: Uint8Array): Bytes {
  const reader = tpmReader(bytes, WHAT);
  const scheme = reader.u16("sigAlg");
  const hash = reader.u16("hash");
  if (scheme !== ALGORITHM.ecdsa || hash !== ALGORITHM.sha256) {
    const [expected, seen] = [schemeText(ALGORITHM.ecdsa, ALGORITHM.sha256), schemeText(scheme, hash)];
    throw refusal("signature-algorithm", "The quote is signed by a scheme that is not allowed", expected, seen);
  }
  const r = readCoordinate(reader, P256_BYTES, "r");
  const s = readCoordinate(reader, P256_BYTES, "s");
  reader.end();
  return concat(r, s);
}

/**
 * Tells whether a key signed a message. s may be in either half.
 *
 * @param spki The SPKI of a P-256 key, DER.
 * @param signature r ‖ s, 64 bytes.
 * @param message The message before hashing.
 */
export async function isSignedBy(spki: Bytes, signature: Uint8Array, message: Uint8Array): Promise<boolean> {
  const key = await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  return await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, copyOf(signature), copyOf(message));
}

/** A scheme and its hash as text for people: TPM_ALG_IDs in hexadecimal. */
export function schemeText(algorithm: number, hash: number): string {
  return `scheme ${algorithm.toString(16).padStart(4, "0")}, hash ${hash.toString(16).padStart(4, "0")}`;
}
