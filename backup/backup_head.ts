/**
 * The beginning of a backup file, which everyone may read: whose backup it is, and who can open it.
 *
 * ```text
 * file   = "bootstrapper-backup 1\n" ‖ u32 length ‖ head (JSON) ‖ sealed chunks
 * ```
 *
 * The chunks are bound to the SHA-256 of all that is before them. Each recipient's entry is the file's key, sealed by
 * HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, with the cluster ID as associated data.
 *
 * @module
 */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import * as v from "valibot";
import type { Bytes } from "../platform/bytes.ts";
import {
  base64,
  concat,
  copyOf,
  equalBytes,
  fromBase64,
  fromHex,
  hex,
  sha256,
  u32be,
  utf8,
} from "../platform/bytes.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import { BootstrapError } from "../platform/errors.ts";
import { newerVersion, withNewerProgram } from "../platform/file_version.ts";
import { readJson } from "../platform/json.ts";
import { isLabel } from "../platform/label.ts";
import type { SealingKeyPair } from "../protocol/node_keys.ts";
import { LABEL } from "../protocol/transcript.ts";
import { MAXIMUM_RECIPIENTS, readRecipient, recipientText } from "./recipient.ts";

/** What everyone may know of a backup. */
export interface BackupSubject {
  /** 32 bytes. */
  readonly clusterId: Bytes;
  readonly clusterName: string;
  readonly createdAt: Date;
}

/** A head that was read. */
export interface BackupHead extends BackupSubject {
  readonly recipients: readonly SealedFileKey[];
  /** The number of bytes before the chunks. */
  readonly bytes: number;
  /** The SHA-256 of these bytes, to which the chunks are bound. */
  readonly digest: Bytes;
}

/** The file's key, sealed to one recipient. */
export interface SealedFileKey {
  /** X25519, 32 bytes. */
  readonly recipient: Bytes;
  /** 32 bytes. */
  readonly encapsulatedKey: Bytes;
  /** 48 bytes. */
  readonly sealedKey: Bytes;
}

/** The newest version of the file. */
export const BACKUP_VERSION = 1;
/** A head is never longer. */
export const MAXIMUM_HEAD_BYTES = 1 << 16;

const MAGIC = "bootstrapper-backup ";
const FILE_KEY_BYTES = 32;
const SEALED_KEY_BYTES = FILE_KEY_BYTES + 16;
const ENCAPSULATED_KEY_BYTES = 32;
const LONGEST_JSON = MAXIMUM_HEAD_BYTES - 64;
const SUBJECT = "backup, control plane to recipient";

const schema = v.strictObject({
  clusterId: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")),
  clusterName: v.pipe(v.string(), v.check(isLabel, "must be an RFC 1123 label")),
  createdAt: v.pipe(v.string(), v.isoTimestamp("must be a time")),
  recipients: v.pipe(
    v.array(v.strictObject({ recipient: v.string(), encapsulatedKey: v.string(), sealedKey: v.string() })),
    v.minLength(1),
    v.maxLength(MAXIMUM_RECIPIENTS),
  ),
});

/**
 * Makes a head and the key of its file.
 *
 * @param recipients X25519 public keys, at least one.
 * @returns The bytes before the chunks, and the key for {@linkcode sealChunks}.
 * @throws {BootstrapError} `usage/backup-recipient` for a key that nothing can be sealed to.
 */
export async function createHead(
  { clusterId, clusterName, createdAt }: BackupSubject,
  recipients: readonly Bytes[],
): Promise<{ readonly bytes: Bytes; readonly digest: Bytes; readonly key: CryptoKey }> {
  const fileKey = crypto.getRandomValues(new Uint8Array(FILE_KEY_BYTES));
  try {
    const head: v.InferInput<typeof schema> = {
      clusterId: hex(clusterId),
      clusterName,
      createdAt: createdAt.toISOString(),
      recipients: await Promise.all(recipients.map((recipient) => sealFileKey(fileKey, recipient, clusterId))),
    };
    const json = utf8(JSON.stringify(head));
    const bytes = concat(utf8(`${MAGIC}${BACKUP_VERSION}\n`), u32be(json.length), json);
    return { bytes, digest: await sha256(bytes), key: await importKey(fileKey) };
  } finally {
    fileKey.fill(0);
  }
}

/**
 * Reads the head of a backup file.
 *
 * @param start The file's first bytes: {@linkcode MAXIMUM_HEAD_BYTES}, or all of a shorter file.
 * @param what The file's name, for errors.
 * @throws {BootstrapError} `malformed/backup`.
 */
export async function readHead(start: Uint8Array, what: string): Promise<BackupHead> {
  const malformed = (_: string, reason: string, cause?: unknown) =>
    new BootstrapError("malformed/backup", `Cannot read ${what} as a backup: ${reason}`, {
      ...(cause === undefined ? {} : { cause }),
      details: { path: what },
    });
  const [, digits] = /^bootstrapper-backup ([1-9][0-9]{0,8})\n/.exec(String.fromCharCode(...start.subarray(0, 32))) ??
    [];
  if (digits === undefined) throw malformed(what, `it does not begin with "${MAGIC}${BACKUP_VERSION}"`);
  const newer = newerVersion(Number(digits), BACKUP_VERSION);
  if (newer !== undefined) throw withNewerProgram(malformed(what, newer));
  const reader = new ByteReader(start, what, { order: "big-endian", error: malformed });
  reader.skip(MAGIC.length + digits.length + 1, "version");
  const json = reader.sized32(LONGEST_JSON, "head");
  const { clusterId, clusterName, createdAt, recipients } = readJson(json, {
    schema,
    maximumBytes: LONGEST_JSON,
    error: (reason, key, cause) => malformed(what, key === "" ? reason : `"${key}": ${reason}`, cause),
  });
  const sized = (text: string, length: number, field: string) => {
    const bytes = fromBase64(text, field);
    if (bytes.length !== length) throw malformed(what, `"${field}" must have ${length} bytes: it has ${bytes.length}`);
    return bytes;
  };
  const { offset } = reader;
  const created = new Date(createdAt);
  if (Number.isNaN(created.getTime())) throw malformed(what, '"createdAt" is not a time');
  return {
    clusterId: fromHex(clusterId, "clusterId"),
    clusterName,
    createdAt: created,
    recipients: recipients.map(({ recipient, encapsulatedKey, sealedKey }) => ({
      recipient: readRecipient(recipient, "recipient"),
      encapsulatedKey: sized(encapsulatedKey, ENCAPSULATED_KEY_BYTES, "encapsulatedKey"),
      sealedKey: sized(sealedKey, SEALED_KEY_BYTES, "sealedKey"),
    })),
    bytes: offset,
    digest: await sha256(start.subarray(0, offset)),
  };
}

/**
 * Opens the key of a file.
 *
 * @throws {BootstrapError} `refused/backup-key` if the file was not sealed to this key, `refused/backup` if the entry was
 *   changed.
 */
export async function openFileKey(head: BackupHead, keys: SealingKeyPair): Promise<CryptoKey> {
  const entry = head.recipients.find(({ recipient }) => equalBytes(recipient, keys.publicKey));
  if (entry === undefined) {
    const recipients = head.recipients.map(({ recipient }) => recipientText(recipient)).join(", ");
    throw new BootstrapError("refused/backup-key", "Cannot open the backup as it was not sealed to this key", {
      details: { expected: recipients, seen: recipientText(keys.publicKey) },
    });
  }
  try {
    const suite = createSuite();
    const publicKey = await suite.kem.deserializePublicKey(keys.publicKey);
    const recipient = await suite.createRecipientContext({
      recipientKey: { publicKey, privateKey: keys.privateKey },
      enc: entry.encapsulatedKey,
      info: concat(LABEL, utf8(SUBJECT)),
    });
    const fileKey = new Uint8Array(await recipient.open(entry.sealedKey, head.clusterId));
    try {
      return await importKey(fileKey);
    } finally {
      fileKey.fill(0);
    }
  } catch (cause) {
    throw new BootstrapError("refused/backup", "Cannot open the backup: its head was changed", { cause });
  }
}

async function sealFileKey(
  fileKey: Bytes,
  recipient: Bytes,
  clusterId: Bytes,
): Promise<{ recipient: string; encapsulatedKey: string; sealedKey: string }> {
  const suite = createSuite();
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(copyOf(recipient));
    // The shared secret of a point of small order is zero, which WebCrypto refuses (RFC 7748, 6.1).
    const sender = await suite.createSenderContext({ recipientPublicKey, info: concat(LABEL, utf8(SUBJECT)) });
    const sealedKey = new Uint8Array(await sender.seal(fileKey, clusterId));
    return {
      recipient: recipientText(recipient),
      encapsulatedKey: base64(new Uint8Array(sender.enc)),
      sealedKey: base64(sealedKey),
    };
  } catch (cause) {
    const text = recipientText(recipient);
    throw new BootstrapError("usage/backup-recipient", `Cannot seal to ${text} as it is no usable key`, { cause });
  }
}

function importKey(fileKey: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", fileKey, "AES-GCM", false, ["encrypt", "decrypt"]);
}

function createSuite(): CipherSuite {
  return new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}
