/**
 * What a node lock says, and the bytes that say it: one line of JSON, versioned, with a checksum.
 *
 * @module
 */
import * as v from "valibot";
import { CLUSTER_ID_BYTES, CLUSTER_ID_TEXT, clusterIdText, readClusterId } from "../certificate/cluster_id.ts";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";

/** Who may hold the node: the InitServer or the JoinClient. */
export const LOCK_OWNERS = ["init", "join"] as const;

/** Who holds the node. */
export type LockOwner = typeof LOCK_OWNERS[number];

/** What the lock says. It never changes. */
export interface LockRecord {
  /** Who took it. */
  readonly owner: LockOwner;
  /** The cluster that the node belongs to, 32 bytes. */
  readonly clusterId: Uint8Array;
  /** When it was taken, by the node's clock. */
  readonly time: Date;
}

const VERSION = 1;

/** What a lock must have; that it has nothing else, its bytes must show. */
const recordSchema = v.object({
  version: v.literal(VERSION),
  owner: v.picklist(LOCK_OWNERS),
  clusterId: v.pipe(
    v.string(),
    v.regex(CLUSTER_ID_TEXT, "is not sha256: and 64 hexadecimal digits"),
    v.transform((text) => readClusterId(text, "clusterId")),
  ),
  time: v.pipe(
    v.string(),
    v.transform((text) => new Date(text)),
    v.check((time) => !Number.isNaN(time.getTime()), "is no time"),
  ),
});

/** No lock file is larger; a record takes about 230 bytes. */
export const MAXIMUM_RECORD_LENGTH = 512;

/**
 * The bytes of a lock file.
 *
 * @throws {BootstrapError} `internal/lock-record` if `clusterId` is not 32 bytes or the time is none.
 */
export async function encodeLockRecord(record: LockRecord): Promise<Bytes> {
  const { owner, clusterId, time } = record;
  if (clusterId.length !== CLUSTER_ID_BYTES || Number.isNaN(time.getTime())) {
    throw new BootstrapError("internal/lock-record", `Cannot write a lock for "${hex(clusterId)}" at "${time}"`);
  }
  const fields = { version: VERSION, owner, clusterId: clusterIdText(clusterId), time: time.toISOString() };
  const checksum = hex(await sha256(utf8(JSON.stringify(fields))));
  return utf8(JSON.stringify({ ...fields, checksum }) + "\n");
}

/**
 * Reads the bytes of a lock file. Only what {@linkcode encodeLockRecord} writes is read, to the last byte: a lock that is
 * torn, foreign or of another version is refused, never guessed.
 *
 * @param bytes All bytes of the file.
 * @param what What the file is called in errors.
 * @throws {BootstrapError} `malformed/lock-record`, naming the field.
 */
export async function decodeLockRecord(bytes: Uint8Array, what: string): Promise<LockRecord> {
  const { owner, clusterId, time } = readJson(bytes, {
    schema: recordSchema,
    maximumBytes: MAXIMUM_RECORD_LENGTH,
    error: (reason, _key, cause) => malformed(what, reason, cause),
  });
  const record = { owner, clusterId, time };
  if (!equalBytes(bytes, await encodeLockRecord(record))) throw malformed(what, "its checksum or its form is wrong");
  return record;
}

function malformed(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/lock-record", `Cannot read the node lock ${what}: ${reason}`, {
    cause,
    next: "The node cannot know which cluster it belongs to: build it anew from its image",
    details: { path: what },
  });
}
