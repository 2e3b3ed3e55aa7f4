/**
 * A backup as a file: the head, then in sealed chunks the contents with their length, and etcd's snapshot.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { SNAPSHOT_HASH_BYTES } from "../kubernetes/etcd_snapshot.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, equalBytes, hex, u32be } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { writeStreamAtomic } from "../platform/files.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import type { BackupHead, BackupSubject } from "./backup_head.ts";
import { createHead, MAXIMUM_HEAD_BYTES, readHead } from "./backup_head.ts";
import type { BackupContents } from "./contents.ts";
import { checkContents, decodeContents, encodeContents, MAXIMUM_CONTENTS_BYTES } from "./contents.ts";
import { openChunks, sealChunks } from "./sealed_chunks.ts";

/** A backup that was read to its end, and found whole. */
export interface ReadBackup {
  readonly head: BackupHead;
  readonly contents: BackupContents;
  /** etcd's SHA-256 over the database, lower-case hexadecimal. */
  readonly snapshotSha256: string;
}

/** What takes the parts of a backup while it is read. */
export interface BackupSink {
  /** Takes bytes of the snapshot. Until {@linkcode readBackup} has returned, the end may turn out to be missing. */
  snapshot(bytes: Bytes): Promise<void>;
}

const SECRET_MODE = 0o600;
const READ_BYTES = 1 << 18;

/**
 * Writes a backup, reads it back, and only then gives it its name, with mode 0600.
 *
 * @param recipients X25519 public keys, at least one.
 * @param snapshot The content; its length is `contents.source.bytes`.
 * @throws {BootstrapError} `system/file`, `usage/backup-recipient`; the errors of {@linkcode readBackup} and of the
 *   snapshot. A file that had the name stays as it was.
 */
export async function writeBackup(
  path: string,
  subject: BackupSubject,
  recipients: readonly Bytes[],
  contents: BackupContents,
  snapshot: AsyncIterable<Bytes>,
): Promise<ReadBackup> {
  const { bytes, digest, key } = await createHead(subject, recipients);
  const content = async function* (): AsyncGenerator<Bytes, void> {
    yield bytes;
    yield* sealChunks(key, digest, plainParts(contents, snapshot));
  };
  const found: ReadBackup[] = [];
  await writeStreamAtomic(path, content(), { mode: SECRET_MODE }, async (temporary) => {
    const read = await readBackup(temporary, () => Promise.resolve(key), subject.createdAt);
    wipeKit(read.contents.kit);
    found.push(read);
  });
  const [read] = found;
  if (read === undefined) throw new BootstrapError("internal/unexpected", "A backup was written and not read back");
  return read;
}

/**
 * Reads a backup to its end and checks all of it: every chunk, the keys against the cluster's CA, and the snapshot against
 * etcd's own hash.
 *
 * @param fileKey Opens the file's key for the head.
 * @param now The time of day, at which the CAs must be valid.
 * @param sink Takes the snapshot.
 * @throws {BootstrapError} `malformed/backup`, `refused/backup`, `system/file`; the errors of `fileKey` and of
 *   {@linkcode checkContents}.
 */
export async function readBackup(
  path: string,
  fileKey: (head: BackupHead) => Promise<CryptoKey>,
  now: Date,
  sink?: BackupSink,
): Promise<ReadBackup> {
  using file = await openFile(path);
  const head = await readHead(await startOf(file), path);
  const key = await fileKey(head);
  await file.seek(head.bytes, Deno.SeekMode.Start);
  const plain = openChunks(key, head.digest, partsOf(file));
  const [contents, rest] = await takeContents(plain);
  await checkContents(contents, head.clusterId, now);
  const snapshotSha256 = await takeSnapshot(contents.source.bytes, rest, plain, sink);
  return { head, contents, snapshotSha256 };
}

/**
 * Reads only the head of a backup.
 *
 * @throws {BootstrapError} `malformed/backup`, `system/file`.
 */
export async function readHeadOf(path: string): Promise<BackupHead> {
  using file = await openFile(path);
  return await readHead(await startOf(file), path);
}

async function* plainParts(contents: BackupContents, snapshot: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void> {
  const encoded = encodeContents(contents);
  yield concat(u32be(encoded.length), encoded);
  encoded.fill(0);
  yield* snapshot;
}

/** Reads the contents, and returns the bytes of the snapshot that were read with them. */
async function takeContents(
  plain: AsyncIterator<Bytes, void>,
): Promise<readonly [contents: BackupContents, rest: Bytes]> {
  let held: Bytes = new Uint8Array();
  const atLeast = async (count: number) => {
    while (held.length < count) {
      const next = await plain.next();
      if (next.done) throw wrong("malformed/backup", `it ends within its contents, after ${held.length} bytes`);
      held = concat(held, next.value);
    }
  };
  await atLeast(4);
  const length = new ByteReader(held, "the backup", {
    order: "big-endian",
    error: (_, reason) => wrong("malformed/backup", reason),
  })
    .u32("length of the contents");
  if (length > MAXIMUM_CONTENTS_BYTES) {
    throw wrong(
      "malformed/backup",
      `its contents have ${length} bytes, and at most ${MAXIMUM_CONTENTS_BYTES} are read`,
    );
  }
  await atLeast(4 + length);
  const contents = decodeContents(held.subarray(4, 4 + length));
  const rest = held.slice(4 + length);
  held.fill(0);
  return [contents, rest];
}

async function takeSnapshot(
  expected: number,
  first: Bytes,
  others: AsyncIterable<Bytes>,
  sink: BackupSink | undefined,
): Promise<string> {
  const hash = createHash("sha256");
  let seen = 0;
  let tail: Bytes = new Uint8Array();
  const take = async (bytes: Bytes) => {
    seen += bytes.length;
    const joined = concat(tail, bytes);
    const end = Math.max(0, joined.length - SNAPSHOT_HASH_BYTES);
    hash.update(joined.subarray(0, end));
    tail = joined.slice(end);
    await sink?.snapshot(bytes);
  };
  await take(first);
  for await (const bytes of others) await take(bytes);
  if (seen !== expected) throw wrong("refused/backup", `its snapshot has ${seen} bytes instead of ${expected}`);
  const digest = copyOf(hash.digest());
  if (!equalBytes(digest, tail)) throw wrong("refused/backup", "the snapshot does not have the hash that etcd gave it");
  return hex(digest);
}

async function startOf(file: Deno.FsFile): Promise<Bytes> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of partsOf(file)) {
    parts.push(part);
    length += part.length;
    if (length >= MAXIMUM_HEAD_BYTES) break;
  }
  return concat(...parts).slice(0, MAXIMUM_HEAD_BYTES);
}

async function* partsOf(file: Deno.FsFile): AsyncGenerator<Bytes, void> {
  for (;;) {
    const buffer = new Uint8Array(READ_BYTES);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (cause) {
    throw new BootstrapError("system/file", `Cannot read ${path}`, { cause, details: { path } });
  }
}

function wrong(code: "malformed/backup" | "refused/backup", problem: string): BootstrapError {
  return new BootstrapError(code, `Cannot use the backup: ${problem}`);
}
