/**
 * The record of a node lock and its encoding: one line of JSON with a version and a checksum.
 *
 * @module
 */
import * as v from "valibot";
import { CLUSTER_ID_BYTES, CLUSTER_ID_TEXT, clusterIdText, readClusterId } from "../certificate/cluster_id.ts";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";

/** The possible holders of a node: the InitServer or the JoinClient. */
export const LOCK_OWNERS = ["init", "join"] as const;

/** The holder of a node. */
export type LockOwner = typeof LOCK_OWNERS[number];

/** The contents of a lock. They never change. */
export interface LockRecord {
  /** The holder that took the node. */
  readonly owner: LockOwner;
  /** The cluster that the node belongs to, 32 bytes. */
  readonly clusterId: Uint8Array;
  /** The time of the lock, by the node's clock. */
  readonly time: Date;
}

const VERSION = 1;
/** A record of a later version may be longer than one of this version: it is read as far as its version. */
export const MAXIMUM_FILE_BYTES: number = 1 << 16;

/** The required fields. The comparison of the bytes below refuses any other field. */
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
    v.check((time) => !Number.isNaN(time.getTime()), "is not a time"),
  ),
});

/** The largest accepted record. One takes about 230 bytes. */
export const MAXIMUM_RECORD_LENGTH = 512;

/**
 * Encodes a lock file.
 *
 * @throws {BootstrapError} `internal/lock-record` if `clusterId` is not 32 bytes or the time is invalid.
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
 * Reads the bytes of a lock file. They must equal the output of {@linkcode encodeLockRecord} to the last byte. A torn
 * or foreign lock, or one of another version, is refused and never guessed.
 *
 * @param bytes All bytes of the file.
 * @param what The file's name in errors.
 * @throws {BootstrapError} `malformed/lock-record`, which names the field.
 */
export async function decodeLockRecord(bytes: Uint8Array, what: string): Promise<LockRecord> {
  const form = {
    newest: VERSION,
    error: (reason: string, _: string, cause?: unknown) => malformed(what, reason, cause),
  };
  if (bytes.length > MAXIMUM_RECORD_LENGTH) {
    readJson(bytes, { ...form, schema: v.unknown(), maximumBytes: MAXIMUM_FILE_BYTES });
    throw malformed(what, `it is larger than ${MAXIMUM_RECORD_LENGTH} bytes`);
  }
  const { owner, clusterId, time } = readJson(bytes, {
    ...form,
    schema: recordSchema,
    maximumBytes: MAXIMUM_RECORD_LENGTH,
  });
  const record = { owner, clusterId, time };
  if (!equalBytes(bytes, await encodeLockRecord(record))) throw malformed(what, "its checksum or its form is wrong");
  return record;
}

function malformed(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/lock-record", `Cannot read the node lock ${what}: ${reason}`, {
    cause,
    next: "The node cannot know which cluster it belongs to: rebuild it from its image",
    details: { path: what },
  });
}
