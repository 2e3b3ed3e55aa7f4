/**
 * Key pairs that this project makes: Ed25519 for operators, P-256 for all keys that Kubernetes sees.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, fromHex, hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readDer } from "./der.ts";
import { OPENSSH_LABEL, readOpensshKey } from "./_openssh_key.ts";
import { decryptPrivateKey, encryptPrivateKey } from "./_pbes2.ts";
import { pemLabel, readPem, writePem } from "./pem.ts";

/** The types of keys that this project makes. */
export type KeyPairType = "ed25519" | "p-256";

/**
 * A key pair. The private key is exportable, because every key is written to a file at some point, except one of
 * {@linkcode ed25519KeyPair}.
 */
export interface KeyPair {
  readonly type: KeyPairType;
  readonly privateKey: CryptoKey;
  /** The public key, SPKI in DER. */
  readonly spki: Bytes;
}

/** WebCrypto's signing parameters by type of key. ECDSA signatures are r ‖ s. */
export const SIGN_ALGORITHMS = {
  "ed25519": { name: "Ed25519" },
  "p-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
} as const;

/** PKCS#8's AlgorithmIdentifiers (RFC 8410, 3; RFC 5480, 2.1.1). */
const PKCS8_TYPES: Readonly<Record<string, KeyPairType>> = Object.freeze({
  "300506032b6570": "ed25519",
  "301306072a8648ce3d020106082a8648ce3d030107": "p-256",
});
const MAXIMUM_PRIVATE_KEY_BYTES = 4096;

/** Generates a key pair. */
export async function generateKeyPair(type: KeyPairType): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(SIGN_ALGORITHMS[type], true, ["sign", "verify"]) as CryptoKeyPair;
  return {
    type,
    privateKey: keys.privateKey,
    spki: new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)),
  };
}

/** PKCS#8 of an Ed25519 key up to its seed (RFC 8410, 7). */
const ED25519_PKCS8_PREFIX = fromHex("302e020100300506032b657004220420", "prefix");

/**
 * Makes the Ed25519 key pair of a seed. Nothing can export its private key again.
 *
 * @param seed 32 bytes (RFC 8032, 5.1.5). The caller wipes them.
 */
export async function ed25519KeyPair(seed: Uint8Array): Promise<KeyPair> {
  const pkcs8 = concat(ED25519_PKCS8_PREFIX, seed);
  try {
    return await readPrivateKey(pkcs8, "the key of a seed", false);
  } finally {
    pkcs8.fill(0);
  }
}

/**
 * Exports the private key as PKCS#8 PEM.
 *
 * @param keys The key pair.
 * @param passphrase If given, the PEM is encrypted with it (PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC).
 */
export async function privateKeyPem(keys: KeyPair, passphrase?: string): Promise<string> {
  return await pkcs8Pem(keys.privateKey, passphrase);
}

/** Like {@linkcode privateKeyPem}, for an exportable private key of any type. */
export async function pkcs8Pem(privateKey: CryptoKey, passphrase?: string): Promise<string> {
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  try {
    if (passphrase === undefined) return writePem("PRIVATE KEY", pkcs8);
    return writePem("ENCRYPTED PRIVATE KEY", await encryptPrivateKey(pkcs8, passphrase));
  } finally {
    pkcs8.fill(0);
  }
}

/**
 * Reads a private key from PEM: PKCS#8, or an Ed25519 key of OpenSSH that is not encrypted.
 *
 * @param pem One block, `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY` or `OPENSSH PRIVATE KEY`.
 * @param what The name of the file or field, for errors.
 * @param passphrase Required for an encrypted key, and only for such a key.
 * @throws {BootstrapError} `malformed/…`; `refused/key-type` for other types than Ed25519 and P-256; `usage/passphrase`
 *   if the passphrase is missing, wrong, or given for a key that is not encrypted.
 */
export async function readPrivateKeyPem(pem: string, what: string, passphrase?: string): Promise<KeyPair> {
  const pkcs8 = await readPkcs8Pem(pem, what, passphrase);
  try {
    return await readPrivateKey(pkcs8, what);
  } finally {
    pkcs8.fill(0);
  }
}

/**
 * Like {@linkcode readPrivateKeyPem}, for a private key of any type, which is not looked at.
 *
 * @returns PKCS#8 in DER, which the caller wipes.
 * @throws {BootstrapError} `malformed/…`, `usage/passphrase`.
 */
export async function readPkcs8Pem(pem: string, what: string, passphrase?: string): Promise<Bytes> {
  const label = pemLabel(pem, what);
  const isEncrypted = label === "ENCRYPTED PRIVATE KEY";
  // A key of OpenSSH says inside whether it is encrypted. No passphrase helps with a form that is not read.
  if (!isEncrypted && passphrase !== undefined) readPlainKey(pem, what).fill(0);
  if (isEncrypted !== (passphrase !== undefined)) {
    const reason = isEncrypted
      ? "it is encrypted and no passphrase was given"
      : "a passphrase was given and it is not encrypted";
    throw new BootstrapError("usage/passphrase", `Cannot read "${what}" as ${reason}`, {
      next: isEncrypted
        ? "Give the passphrase that the key was made with"
        : "Give no passphrase for this key: leave out --passphrase-file",
    });
  }
  return passphrase === undefined
    ? readPlainKey(pem, what)
    : await decryptPrivateKey(readPem(pem, "ENCRYPTED PRIVATE KEY", what), what, passphrase);
}

/** Reads a key that is not encrypted, as PKCS#8. */
function readPlainKey(pem: string, what: string): Bytes {
  const label = pemLabel(pem, what);
  if (label === OPENSSH_LABEL) {
    const blob = readPem(pem, OPENSSH_LABEL, what);
    try {
      return readOpensshKey(blob, what);
    } finally {
      blob.fill(0);
    }
  }
  const [, traditional] = /^(RSA|EC|DSA) PRIVATE KEY$/.exec(label) ?? [];
  if (traditional !== undefined) throw typeRefusal(what, `a ${traditional} key in OpenSSL's own form`);
  return readPem(pem, "PRIVATE KEY", what);
}

async function readPrivateKey(pkcs8: Bytes, what: string, isExtractable = true): Promise<KeyPair> {
  const type = privateKeyType(pkcs8, what);
  const algorithm = SIGN_ALGORITHMS[type];
  try {
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, isExtractable, ["sign"]);
    const secret = createPrivateKey({ key: Buffer.from(pkcs8.buffer), format: "der", type: "pkcs8" });
    const spki = copyOf(createPublicKey(secret).export({ format: "der", type: "spki" }));
    // PKCS#8 can carry a public key besides the private key. The two must belong together.
    const publicKey = await crypto.subtle.importKey("spki", spki, algorithm, false, ["verify"]);
    const probe = randomBytes(32);
    const signature = await crypto.subtle.sign(algorithm, privateKey, probe);
    if (await crypto.subtle.verify(algorithm, publicKey, signature, probe)) return { type, privateKey, spki };
  } catch {
    // The cause may quote the key, so it is dropped.
  }
  throw new BootstrapError("malformed/private-key", `Cannot read "${what}" as it is not a usable private key`);
}

function privateKeyType(pkcs8: Uint8Array, what: string): KeyPairType {
  const reader = readDer(pkcs8, what, MAXIMUM_PRIVATE_KEY_BYTES).inside();
  reader.small(1);
  const algorithm = hex(reader.element().bytes);
  reader.octets();
  const type = PKCS8_TYPES[algorithm];
  if (type !== undefined) return type;
  throw typeRefusal(what, `algorithm ${algorithm}`);
}

function typeRefusal(what: string, seen: string): BootstrapError {
  const expected = "Ed25519 or P-256";
  return new BootstrapError("refused/key-type", `Cannot use the key of "${what}" as it must be ${expected} in PKCS#8`, {
    details: { check: "key-type", expected, seen },
  });
}
