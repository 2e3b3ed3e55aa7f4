/**
 * Private keys in the form of OpenSSH (PROTOCOL.key in its sources), for Ed25519 keys that are not encrypted.
 *
 * @module
 */
import type { ByteFormat } from "../platform/byte_reader.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, equalBytes, fromHex, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The label of such a key in PEM. */
export const OPENSSH_LABEL = "OPENSSH PRIVATE KEY";

const MAGIC = utf8("openssh-key-v1\0");
const NONE = "none";
const TYPE = "ssh-ed25519";
const KEY_BYTES = 32;
const MAXIMUM_FIELD_BYTES = 4096;
/** The block size of the cipher `none`, which padding fills. */
const BLOCK_BYTES = 8;
/** PKCS#8 of an Ed25519 key up to its seed, and between the seed and its public key (RFC 8410, 7; RFC 5958, 2). */
const PKCS8_PREFIX = fromHex("3051020101300506032b657004220420", "prefix");
const PKCS8_PUBLIC_PREFIX = fromHex("812100", "prefix");
const FORMAT: ByteFormat = Object.freeze({ order: "big-endian", error: formError });

/**
 * Converts a key to PKCS#8 with its public key, DER. It does not check that the two belong together: the reader of
 * PKCS#8 does.
 *
 * @param blob The content of the PEM block.
 * @param what The name of the file, for errors, which never show the key.
 * @throws {BootstrapError} `malformed/private-key`, also for a key that is encrypted; `refused/key-type`.
 */
export function readOpensshKey(blob: Uint8Array, what: string): Bytes {
  const reader = new ByteReader(blob, what, FORMAT);
  if (!equalBytes(reader.bytes(MAGIC.length, "magic"), MAGIC)) throw reader.error("it does not begin as one");
  const field = (from: ByteReader, name: string) => from.sized32(MAXIMUM_FIELD_BYTES, name);
  const cipher = textOf(field(reader, "cipher"));
  const kdf = textOf(field(reader, "KDF"));
  field(reader, "KDF options");
  if (cipher !== NONE || kdf !== NONE) throw encryptedError(what);
  const count = reader.u32("count of keys");
  if (count !== 1) throw reader.error(`it has ${count} keys, not one`);
  field(reader, "public key");
  const section = field(reader, "private key");
  try {
    reader.end();
    return readSection(new ByteReader(section, what, FORMAT), what);
  } finally {
    section.fill(0);
  }
}

/** Converts the section with the private key. */
function readSection(secret: ByteReader, what: string): Bytes {
  const field = (name: string) => secret.sized32(MAXIMUM_FIELD_BYTES, name);
  const check = secret.u32("check");
  if (check !== secret.u32("check")) throw secret.error("its two checks differ");
  const type = textOf(field("type"));
  if (type !== TYPE) throw typeError(what, type);
  const publicKey = field("public key");
  const pair = field("private key");
  try {
    const isPair = publicKey.length === KEY_BYTES && pair.length === 2 * KEY_BYTES &&
      equalBytes(pair.subarray(KEY_BYTES), publicKey);
    if (!isPair) throw secret.error("its two keys do not belong together");
    field("comment");
    const padding = secret.rest("padding");
    if (padding.length >= BLOCK_BYTES || padding.some((octet, index) => octet !== index + 1)) {
      throw secret.error("its padding is wrong");
    }
    return concat(PKCS8_PREFIX, pair.subarray(0, KEY_BYTES), PKCS8_PUBLIC_PREFIX, publicKey);
  } finally {
    pair.fill(0);
  }
}

/** A name in the key; a placeholder for bytes that are no name. Names are short, and no secret. */
function textOf(bytes: Uint8Array): string {
  try {
    const text = fromUtf8(bytes, "name");
    return /^[a-z0-9@.-]{1,64}$/.test(text) ? text : "unknown";
  } catch {
    return "unknown";
  }
}

function encryptedError(what: string): BootstrapError {
  return new BootstrapError(
    "malformed/private-key",
    `Cannot read "${what}" as it is an encrypted OpenSSH private key`,
    {
      next: "Make a key with `bootstrapper keygen`, or take the passphrase off a copy: ssh-keygen -p -N '' -f COPY",
    },
  );
}

function typeError(what: string, seen: string): BootstrapError {
  const expected = "Ed25519";
  const message = `Cannot use the key of "${what}", an OpenSSH private key of type ${seen}: it must be ${expected}`;
  return new BootstrapError("refused/key-type", message, { details: { check: "key-type", expected, seen } });
}

function formError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/private-key", `Cannot read "${what}" as an OpenSSH private key: ${reason}`);
}
