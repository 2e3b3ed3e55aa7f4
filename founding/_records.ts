/**
 * The values that the founders' etcd has: JSON, of one version. A program of another version founds no cluster with
 * this one, as it has another trust part or another image.
 *
 * @module
 */
import * as v from "valibot";
import { CLUSTER_ID_TEXT } from "../certificate/cluster_id.ts";
import { type Bytes, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";

const MAXIMUM_VALUE_BYTES = 1 << 14;
const LONGEST_REASON = 1_000;
const MOST_ENDPOINTS = 16;

const clusterId = v.pipe(v.string(), v.regex(CLUSTER_ID_TEXT, "is not sha256: and 64 hexadecimal digits"));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "is not 64 hexadecimal digits"));
const epoch = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const decisionSchema = v.strictObject({ epoch, identity: digest, key: digest, clusterId });
const resignedSchema = v.strictObject({ reason: v.pipe(v.string(), v.maxLength(LONGEST_REASON)) });
const completeSchema = v.strictObject({
  epoch,
  clusterId,
  endpoints: v.pipe(v.array(v.pipe(v.string(), v.maxLength(300))), v.maxLength(MOST_ENDPOINTS)),
});
const leaderSchema = v.strictObject({ key: digest, instance: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)) });

/** Who founds, in which epoch. */
export interface DecisionRecord {
  /** From 1. */
  readonly epoch: number;
  /** The founder's identity, 64 hexadecimal digits. */
  readonly identity: string;
  /** H(SPKI) of the founder's key, 64 hexadecimal digits. */
  readonly key: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly clusterId: string;
}

/** The cluster that is founded. */
export interface CompleteRecord {
  /** Of the decision. */
  readonly epoch: number;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly clusterId: string;
  /** Where joiners find it, `host:port`. */
  readonly endpoints: readonly string[];
}

/** Who leads: a process of a founder. */
export interface LeaderRecord {
  /** H(SPKI) of the founder's key, 64 hexadecimal digits. */
  readonly key: string;
  /** Random for each process, 32 hexadecimal digits. */
  readonly instance: string;
}

/** Encodes a value. */
export function encodeRecord(record: DecisionRecord | CompleteRecord | LeaderRecord | { reason: string }): Bytes {
  return utf8(JSON.stringify(record));
}

/** Encodes why a founder resigned. */
export function encodeResigned(reason: string): Bytes {
  return encodeRecord({ reason: reason.slice(0, LONGEST_REASON) });
}

/** Reads `decision`. It throws `malformed/founding-decision`. */
export function decodeDecision(bytes: Uint8Array): DecisionRecord {
  return readJson(bytes, { schema: decisionSchema, ...formOf("decision") });
}

/** Reads `complete`. It throws `malformed/founding-decision`. */
export function decodeComplete(bytes: Uint8Array): CompleteRecord {
  return readJson(bytes, { schema: completeSchema, ...formOf("complete") });
}

/** Reads `resigned/E`. It throws `malformed/founding-decision`. */
export function decodeResigned(bytes: Uint8Array): string {
  return readJson(bytes, { schema: resignedSchema, ...formOf("resigned") }).reason;
}

/** Reads `leader`. It throws `malformed/founding-decision`. */
export function decodeLeader(bytes: Uint8Array): LeaderRecord {
  return readJson(bytes, { schema: leaderSchema, ...formOf("leader") });
}

function formOf(what: string) {
  return {
    maximumBytes: MAXIMUM_VALUE_BYTES,
    error: (reason: string, _key: string, cause?: unknown) =>
      new BootstrapError("malformed/founding-decision", `Cannot read "${what}" of the founders' etcd: ${reason}`, {
        cause,
      }),
  };
}
