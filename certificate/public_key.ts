/**
 * Public keys as SubjectPublicKeyInfo, restricted to an allow-list of forms (RFC 5480, RFC 8410, RFC 3279).
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, fromHex, hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readDer, TAG } from "./der.ts";

/** The types of keys that are accepted. */
export type KeyType = "ed25519" | "p-256" | "p-384" | "p-521" | "rsa";

/** A public key in its only accepted encoding. */
export interface PublicKey {
  readonly type: KeyType;
  /** The SPKI, DER. */
  readonly spki: Bytes;
}

/** The SPKI prefixes of types with fixed length. The point or the key follows. */
const FIXED_FORMS: readonly { readonly type: KeyType; readonly prefix: Bytes; readonly keyBytes: number }[] = [
  { type: "ed25519", prefix: fromHex("302a300506032b6570032100", "prefix"), keyBytes: 32 },
  {
    type: "p-256",
    prefix: fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04", "prefix"),
    keyBytes: 64,
  },
  { type: "p-384", prefix: fromHex("3076301006072a8648ce3d020106052b81040022036200" + "04", "prefix"), keyBytes: 96 },
  {
    type: "p-521",
    prefix: fromHex("30819b301006072a8648ce3d020106052b8104002303818600" + "04", "prefix"),
    keyBytes: 132,
  },
];
/** rsaEncryption with NULL (RFC 3279, 2.3.1). */
const RSA_ALGORITHM = "300d06092a864886f70d0101010500";
const MINIMUM_RSA_BITS = 2048;
/** A larger modulus would only cost time. */
const MAXIMUM_RSA_BITS = 8192;
const RSA_EXPONENT = "010001";

/**
 * Reads an SPKI of a type on the allow-list: Ed25519, P-256, P-384 and P-521 with the uncompressed point, RSA of 2048 to
 * 8192 bits with exponent 65537.
 *
 * It does not check that a point is on its curve: the import of the key does.
 *
 * @param spki DER.
 * @param what The name of the field, for errors.
 * @throws {BootstrapError} `malformed/der`, or `refused/key-type` for a key that is not on the list.
 */
export function readPublicKey(spki: Uint8Array, what: string): PublicKey {
  const reader = readDer(spki, what).inside();
  const algorithm = hex(reader.element().bytes);
  const key = reader.octetBits();
  reader.end();
  for (const { type, prefix, keyBytes } of FIXED_FORMS) {
    const hasForm = spki.length === prefix.length + keyBytes && hex(spki.subarray(0, prefix.length)) === hex(prefix);
    if (hasForm) return { type, spki: copyOf(spki) };
  }
  if (algorithm !== RSA_ALGORITHM) throw keyTypeRefusal(what, `of the algorithm ${algorithmText(algorithm, what)}`);
  const rsa = readDer(key, what).inside();
  const bits = bitLength(rsa.unsigned());
  const exponent = hex(rsa.unsigned());
  rsa.end();
  if (bits < MINIMUM_RSA_BITS || bits > MAXIMUM_RSA_BITS) throw keyTypeRefusal(what, `RSA of ${bits} bits`);
  if (exponent !== RSA_EXPONENT) throw keyTypeRefusal(what, `RSA with exponent ${exponent}`);
  return { type: "rsa", spki: copyOf(spki) };
}

/** The hashes of signatures that are verified. */
export type SignatureHash = "SHA-256" | "SHA-384" | "SHA-512";

/** WebCrypto's parameters for verifying a signature. */
export type VerifyAlgorithm =
  | { readonly name: "Ed25519" }
  | { readonly name: "ECDSA"; readonly namedCurve: "P-256" | "P-384" | "P-521"; readonly hash: SignatureHash }
  | { readonly name: "RSASSA-PKCS1-v1_5"; readonly hash: SignatureHash }
  | { readonly name: "RSA-PSS"; readonly hash: SignatureHash; readonly saltLength: number };

/**
 * Verifies a signature with WebCrypto. ECDSA signatures are raw (r ‖ s).
 *
 * @returns Whether the signature is valid.
 * @throws {BootstrapError} `malformed/public-key` if the key is invalid, such as a point that is not on its curve.
 */
export async function verifyWith(
  algorithm: VerifyAlgorithm,
  spki: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("spki", copyOf(spki), algorithm, false, ["verify"]);
    // Deno checks the point only here, and throws.
    return await crypto.subtle.verify(algorithm, key, copyOf(signature), copyOf(message));
  } catch (cause) {
    throw new BootstrapError("malformed/public-key", "Cannot use a public key as it is not valid", { cause });
  }
}

function bitLength(unsigned: Uint8Array): number {
  return unsigned.length * 8 - Math.clz32(unsigned[0] ?? 0) + 24;
}

/** The algorithm of a key for people: the OIDs that it names, such as an unknown curve's. */
function algorithmText(algorithm: string, what: string): string {
  const reader = readDer(fromHex(algorithm, what), what).inside();
  const oids = [reader.oid()];
  if (reader.next(TAG.oid)) oids.push(reader.oid());
  return oids.join(" with ");
}

function keyTypeRefusal(what: string, seen: string): BootstrapError {
  const expected = "Ed25519, P-256, P-384, P-521, or RSA of 2048 to 8192 bits with exponent 65537";
  const message = `Cannot use the key of "${what}", which is ${seen}: it must be ${expected}`;
  return new BootstrapError("refused/key-type", message, { details: { check: "key-type", expected, seen } });
}
