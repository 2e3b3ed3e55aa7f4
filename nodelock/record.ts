/**
 * What a node lock says, and the bytes that say it: one line of JSON, versioned, with a checksum.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, fromHex, fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

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
const CLUSTER_ID_LENGTH = 32;
const CLUSTER_ID_PREFIX = "sha256:";

/** No lock file is larger; a record takes about 230 bytes. */
export const MAXIMUM_RECORD_LENGTH = 512;

/**
 * The bytes of a lock file.
 *
 * @throws {BootstrapError} `internal/lock-record` if `clusterId` is not 32 bytes or the time is none.
 */
export async function encodeLockRecord(record: LockRecord): Promise<Bytes> {
  const { owner, clusterId, time } = record;
  if (clusterId.length !== CLUSTER_ID_LENGTH || Number.isNaN(time.getTime())) {
    throw new BootstrapError("internal/lock-record", `Cannot write a lock for "${hex(clusterId)}" at "${time}"`);
  }
  const fields = { version: VERSION, owner, clusterId: CLUSTER_ID_PREFIX + hex(clusterId), time: time.toISOString() };
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
  if (bytes.length > MAXIMUM_RECORD_LENGTH) throw malformed(what, `it is larger than ${MAXIMUM_RECORD_LENGTH} bytes`);
  const fields = parseObject(bytes, what);
  if (fields.version !== VERSION) throw malformed(what, `its "version" is not ${VERSION}`);
  const owner = LOCK_OWNERS.find((name) => name === fields.owner);
  if (owner === undefined) throw malformed(what, `its "owner" is none of ${LOCK_OWNERS.join(", ")}`);
  const record = { owner, clusterId: readClusterId(fields.clusterId, what), time: readTime(fields.time, what) };
  if (!equalBytes(bytes, await encodeLockRecord(record))) throw malformed(what, "its checksum or its form is wrong");
  return record;
}

function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes, what));
  } catch (cause) {
    throw malformed(what, "it is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw malformed(what, "it is not a JSON object");
  return { ...value };
}

function readClusterId(text: unknown, what: string): Bytes {
  if (typeof text !== "string" || !/^sha256:[0-9a-f]{64}$/.test(text)) {
    throw malformed(what, 'its "clusterId" is not sha256: and 64 hexadecimal digits');
  }
  return copyOf(fromHex(text.slice(CLUSTER_ID_PREFIX.length), "clusterId"));
}

function readTime(text: unknown, what: string): Date {
  const time = new Date(typeof text === "string" ? text : NaN);
  if (Number.isNaN(time.getTime())) throw malformed(what, 'its "time" is no time');
  return time;
}

function malformed(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/lock-record", `Cannot read the node lock ${what} as ${reason}`, {
    cause,
    next: "The node cannot know which cluster it belongs to: build it anew from its image",
    details: { path: what },
  });
}
