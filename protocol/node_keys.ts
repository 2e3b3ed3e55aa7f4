/**
 * The keys of an exchange under way: K_c and K_s, for which the node gets certificates, and E_c, to which a control
 * plane's keys are sealed. They exist only in memory (tmpfs), so that a restarted client asks again with the same keys.
 *
 * Some kinds of evidence do not name their machine. There, the machine's identity is a key of its own, which stays on
 * disk for the machine's life.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { join } from "node:path";
import type { KeyPair } from "../certificate/keys.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createFileExclusive, ensureFolder, readFile, readFileIfExists, writeFileAtomic } from "../platform/files.ts";

/** The length of E_c in bytes (X25519, RFC 7748, 5). */
export const SEALING_KEY_BYTES = 32;

/** The keys of an exchange under way. */
export interface NodeKeys {
  /** K_c, P-256: the kubelet calls the API server with it. */
  readonly node: KeyPair;
  /** K_s, P-256: the kubelet serves with it. */
  readonly serving: KeyPair;
  /** E_c, an X25519 key pair. */
  readonly sealing: SealingKeyPair;
  /** The machine's identity, P-256; present exactly where the kind of evidence says that its identity is a key. */
  readonly identity?: KeyPair;
}

/** The key pair of a recipient of sealed messages. */
export interface SealingKeyPair {
  /** The public key, 32 bytes. */
  readonly publicKey: Bytes;
  readonly privateKey: CryptoKey;
}

const NODE_KEY_FILE = "node.key";
const SERVING_KEY_FILE = "serving.key";
const SEALING_KEY_FILE = "sealing.key";
/** The names of the key files of an exchange under way. */
export const NODE_KEY_FILES: readonly string[] = Object.freeze([NODE_KEY_FILE, SEALING_KEY_FILE, SERVING_KEY_FILE]);
/** The name of the identity key's file in the state folder. */
export const IDENTITY_KEY_FILE = "identity.key";
const MAXIMUM_KEY_FILE_BYTES = 4096;
const SECRET_MODE = 0o600;
const PRIVATE_FOLDER_MODE = 0o700;
const X25519 = { name: "X25519" } as const;
/** The prefix of every X25519 key's PKCS#8 (RFC 8410, 7). */
const SEALING_KEY_PREFIX = Uint8Array.fromHex("302e020100300506032b656e04220420");
/** The length of the prefix of every X25519 key's SPKI (RFC 8410, 4). */
const SEALING_SPKI_PREFIX_BYTES = 12;

/**
 * Reads the keys in a folder. Missing keys are made and written with mode 0600.
 *
 * @param folder A private folder on a tmpfs. It is created with mode 0700 if it does not exist.
 * @throws {BootstrapError} `malformed/…` with the file if it holds something else, `system/file`.
 */
export async function readOrCreateNodeKeys(folder: string): Promise<Omit<NodeKeys, "identity">> {
  await ensureFolder(folder, PRIVATE_FOLDER_MODE);
  return {
    node: await readOrCreate(join(folder, NODE_KEY_FILE), readNodeKey, createNodeKey),
    serving: await readOrCreate(join(folder, SERVING_KEY_FILE), readNodeKey, createNodeKey),
    sealing: await readOrCreate(join(folder, SEALING_KEY_FILE), readSealingKey, createSealingKey),
  };
}

/** Makes keys that only memory holds, for an exchange that is begun anew with others when it is interrupted. */
export async function createNodeKeys(): Promise<Omit<NodeKeys, "identity">> {
  return {
    node: await generateKeyPair("p-256"),
    serving: await generateKeyPair("p-256"),
    sealing: (await createSealingKey()).keys,
  };
}

/** Makes an X25519 key pair, which can be exported. */
export async function createSealingKey(): Promise<{ readonly keys: SealingKeyPair; readonly pem: string }> {
  const { privateKey } = await crypto.subtle.generateKey(X25519, true, ["deriveBits"]) as CryptoKeyPair;
  const pem = writePem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
  return { keys: await readSealingKey(pem, SEALING_KEY_FILE), pem };
}

/**
 * Reads the machine's identity key, or makes it: once, whatever else of this machine asks at the same time.
 *
 * @param folder The state folder, which lives as long as the machine. It is created if it does not exist.
 * @throws {BootstrapError} `malformed/…` with the file if it holds something else, `system/file`.
 */
export async function readOrCreateIdentityKey(folder: string): Promise<KeyPair> {
  await ensureFolder(folder);
  const path = join(folder, IDENTITY_KEY_FILE);
  const found = await readFileIfExists(path, MAXIMUM_KEY_FILE_BYTES);
  if (found === undefined) await createFileExclusive(path, utf8((await createNodeKey()).pem), { mode: SECRET_MODE });
  return await readNodeKey(fromUtf8(found ?? await readFile(path, MAXIMUM_KEY_FILE_BYTES), path), path);
}

/** The identity of a machine that is known by a key: the SHA-256 of its SPKI, lower-case hexadecimal. */
export async function identityOfKey(spki: Uint8Array): Promise<string> {
  return hex(await sha256(spki));
}

async function createNodeKey(): Promise<{ readonly keys: KeyPair; readonly pem: string }> {
  const keys = await generateKeyPair("p-256");
  return { keys, pem: await privateKeyPem(keys) };
}

async function readOrCreate<K>(
  path: string,
  read: (pem: string, what: string) => Promise<K>,
  create: () => Promise<{ readonly keys: K; readonly pem: string }>,
): Promise<K> {
  const bytes = await readFileIfExists(path, MAXIMUM_KEY_FILE_BYTES);
  if (bytes !== undefined) return await read(fromUtf8(bytes, path), path);
  const { keys, pem } = await create();
  await writeFileAtomic(path, utf8(pem), { mode: SECRET_MODE });
  return keys;
}

async function readNodeKey(pem: string, what: string): Promise<KeyPair> {
  const keys = await readPrivateKeyPem(pem, what);
  if (keys.type === "p-256") return keys;
  throw new BootstrapError("malformed/node-key", `Cannot use ${what} as it is not a P-256 key`, {
    details: { path: what },
  });
}

async function readSealingKey(pem: string, what: string): Promise<SealingKeyPair> {
  return await sealingKeyOf(readPem(pem, "PRIVATE KEY", what), what);
}

/**
 * Reads an X25519 key pair.
 *
 * @param pkcs8 DER. It is wiped.
 * @param what The name of the file, for errors.
 * @throws {BootstrapError} `malformed/sealing-key` if it is not an X25519 key.
 */
export async function sealingKeyOf(pkcs8: Bytes, what: string): Promise<SealingKeyPair> {
  const hasForm = pkcs8.length === SEALING_KEY_PREFIX.length + SEALING_KEY_BYTES &&
    equalBytes(pkcs8.subarray(0, SEALING_KEY_PREFIX.length), SEALING_KEY_PREFIX);
  if (!hasForm) {
    throw new BootstrapError("malformed/sealing-key", `Cannot use ${what} as it is not an X25519 key`, {
      details: { path: what },
    });
  }
  try {
    const secret = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    const spki = copyOf(createPublicKey(secret).export({ format: "der", type: "spki" }));
    return {
      publicKey: spki.slice(SEALING_SPKI_PREFIX_BYTES),
      privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, X25519, true, ["deriveBits"]),
    };
  } finally {
    pkcs8.fill(0);
  }
}
