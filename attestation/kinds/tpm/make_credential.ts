/**
 * Credential protection (TPM 2.0 Part 1, 24, "Credential Protection"). It encrypts a secret so that only the TPM with a
 * given endorsement key can decrypt it, and only if that TPM also has a given attestation key.
 *
 * @module
 */
import { createECDH, createHash, createHmac } from "node:crypto";
import { cfb } from "@noble/ciphers/aes.js";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, randomBytes, u32be, utf8 } from "../../../platform/bytes.ts";
import type { ActivationChallenge } from "../../evidence.ts";
import type { PublicKeyValue } from "./public_area.ts";
import { spkiOf } from "./public_area.ts";
import type { EkProfile } from "./templates.ts";
import { tpmError, tpmWriter } from "./wire.ts";

/** A challenge and its expected answer. */
export interface Credential {
  /** The challenge, for the machine. */
  readonly message: ActivationChallenge;
  /** The secret that the machine's TPM must recover, 32 bytes. */
  readonly secret: Bytes;
}

type Hash = EkProfile["hash"];
type SealedSeed = { readonly seed: Bytes; readonly encryptedSeed: Bytes };

const SECRET_BYTES = 32;
const AES_BLOCK_BYTES = 16;
const HASH_BYTES = Object.freeze({ "SHA-256": 32, "SHA-384": 48 });
const CURVE_NAMES = Object.freeze({ p256: "prime256v1", p384: "secp384r1" });
/** The octet in front of x ‖ y (SEC 1, 2.3.3). */
const UNCOMPRESSED = Uint8Array.of(0x04);
const BITS = 8;

/**
 * Makes a challenge for an attestation key.
 *
 * @param endorsementKey The endorsement key.
 * @param profile The endorsement key's profile, which gives hash and cipher.
 * @param attestationKeyName The name of the attestation key.
 * @throws {BootstrapError} `malformed/tpm` if nothing can be encrypted to the endorsement key.
 */
export async function makeCredential(
  endorsementKey: PublicKeyValue,
  profile: EkProfile,
  attestationKeyName: Uint8Array,
): Promise<Credential> {
  const { hash, aesKeyBytes } = profile;
  const secret = randomBytes(SECRET_BYTES);
  const { seed, encryptedSeed } = endorsementKey.type === "rsa"
    ? await sealSeedByRsa(endorsementKey, hash)
    : sealSeedByEcdh(endorsementKey, hash);
  const key = kdfa(hash, seed, "STORAGE", attestationKeyName, aesKeyBytes);
  const encrypted = cfb(key, new Uint8Array(AES_BLOCK_BYTES)).encrypt(tpmWriter().sized16(secret).done());
  const macKey = kdfa(hash, seed, "INTEGRITY", new Uint8Array(), HASH_BYTES[hash]);
  const mac = hmac(hash, macKey, concat(encrypted, attestationKeyName));
  const idObject = tpmWriter().sized16(mac).bytes(encrypted).done();
  return {
    message: {
      credentialBlob: tpmWriter().sized16(idObject).done(),
      encryptedSecret: tpmWriter().sized16(encryptedSeed).done(),
    },
    secret,
  };
}

/** Part 1, B.10.3: the seed is random, and encrypted with OAEP and the label "IDENTITY", including its final zero. */
async function sealSeedByRsa(key: PublicKeyValue, hash: Hash): Promise<SealedSeed> {
  const seed = randomBytes(HASH_BYTES[hash]);
  const encrypted = await encryptByRsa(spkiOf(key), hash, seed);
  return { seed, encryptedSeed: new Uint8Array(encrypted) };
}

async function encryptByRsa(spki: Bytes, hash: Hash, seed: Bytes): Promise<ArrayBuffer> {
  try {
    const publicKey = await crypto.subtle.importKey("spki", spki, { name: "RSA-OAEP", hash }, false, ["encrypt"]);
    return await crypto.subtle.encrypt({ name: "RSA-OAEP", label: label("IDENTITY") }, publicKey, seed);
  } catch (cause) {
    // Not every number of 2048 bits is a modulus; an even number is not.
    throw tpmError("endorsement key", "its modulus is not that of an RSA key", cause);
  }
}

/** Part 1, C.6.3: the seed is derived from a key agreement with an ephemeral key, whose point is sent. */
function sealSeedByEcdh(key: PublicKeyValue & { readonly type: "ecc" }, hash: Hash): SealedSeed {
  const { shared, point } = agree(key);
  const coordinateBytes = key.x.length;
  const [x, y] = [point.subarray(0, coordinateBytes), point.subarray(coordinateBytes)];
  // KDFe (Part 1, 11.4.10.3): one block is enough, because the seed is as long as the hash.
  const input = concat(u32be(1), shared, label("IDENTITY"), x, key.x);
  const seed = copyOf(createHash(nameOf(hash)).update(input).digest());
  return { seed, encryptedSeed: tpmWriter().sized16(x).sized16(y).done() };
}

/**
 * Agrees on a secret with a fresh key, and returns the secret, one coordinate, with the fresh key's point, x ‖ y.
 * WebCrypto takes a third longer: it derives the public key again to export it.
 */
function agree({ curve, x, y }: PublicKeyValue & { readonly type: "ecc" }): {
  readonly shared: Bytes;
  readonly point: Bytes;
} {
  const ephemeral = createECDH(CURVE_NAMES[curve]);
  const point = copyOf(ephemeral.generateKeys()).subarray(UNCOMPRESSED.length);
  return { shared: copyOf(ephemeral.computeSecret(concat(UNCOMPRESSED, x, y))), point };
}

/** KDFa (Part 1, 11.4.10.2) with the context of one party: one HMAC block, truncated to `bytes`. */
function kdfa(hash: Hash, key: Bytes, use: string, context: Uint8Array, bytes: number): Bytes {
  const block = hmac(hash, key, concat(u32be(1), label(use), context, u32be(bytes * BITS)));
  return block.slice(0, bytes);
}

function hmac(hash: Hash, key: Bytes, message: Bytes): Bytes {
  return new Uint8Array(createHmac(nameOf(hash), key).update(message).digest());
}

/** The name of a hash for `node:crypto`. */
function nameOf(hash: Hash): string {
  return hash.replace("-", "");
}

function label(text: string): Bytes {
  return utf8(`${text}\0`);
}
