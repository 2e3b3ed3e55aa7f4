/**
 * The status document: what the bootstrapper of a node is doing, as a small file that `bootstrapper status` reads.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { LockOwner } from "../nodelock/record.ts";
import { LOCK_OWNERS } from "../nodelock/record.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { FailedCheck } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError, nextOf, sentenceOf } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";

/**
 * The phases of a node's life.
 *
 * `starting`: the configuration has not been read yet, or several starts have failed and this one waits before it begins;
 * the document then still has the facts and the error of the last one. `stopped`: it was asked to end. `failed`: it ended with an error;
 * systemd may start it again.
 */
export const NODE_PHASES = [
  ...["starting", "detecting", "racing", "initialising", "joining", "leaving"] as const,
  ...["member", "stopped", "failed"] as const,
] as const;
/** A phase of a node's life. */
export type NodePhase = typeof NODE_PHASES[number];

/** A refusal or a failure. */
export interface StatusRefusal {
  /** When, ISO 8601. */
  readonly time: string;
  /** The peer that refused; absent for the node's own failures. */
  readonly peer?: string;
  /** The error's stable code. */
  readonly code: string;
  /** What happened, as a sentence. */
  readonly message: string;
  /** Whether a later try may succeed. */
  readonly retriable: boolean;
  readonly next?: string;
  /** Facts; for a failed verification, `check`, `expected` and `seen`. */
  readonly details: Readonly<Record<string, string>>;
  /** Every failed check, if evidence was refused. */
  readonly checks?: readonly FailedCheck[];
}

/** What a founder sees of the founding. */
export interface FoundingStatus {
  /** How many founders there must be. */
  readonly size: number;
  /** How many there are, who is missing and why, as one line. */
  readonly summary: string;
  readonly founders: readonly FounderStatus[];
  /** The addresses where no founder is met, and why. */
  readonly unmet: readonly { readonly address: string; readonly why: string }[];
  /** What nobody may pledge with, as sentences. */
  readonly conflicts: readonly string[];
  /** The hellos that this machine refused, by reason. */
  readonly refusedHellos: Readonly<Record<string, number>>;
  /** What the founding waits for. */
  readonly waitsFor?: {
    readonly what: string;
    /** The names of founders. */
    readonly from: readonly string[];
    /** Since when, ISO 8601. */
    readonly since: string;
    readonly error?: string;
  };
}

/** What a name in `join.endpoints` has. */
export interface EndpointsStatus {
  /** As in the configuration, such as `dns:join.example.org:9444`. */
  readonly source: string;
  /** How many endpoints are used. */
  readonly count: number;
  /** The first of them. */
  readonly endpoints: readonly string[];
  /** How many more there are than are used; absent if none. */
  readonly leftOut?: number;
  /** Why the last question was not answered, or not completely. */
  readonly failure?: string;
}

/** What the node has from its machine's metadata. */
export interface MetadataStatus {
  readonly source: string;
  readonly name?: string;
  readonly address?: string;
  readonly role?: string;
  readonly endpoints?: string;
}

/** One founder in the status. */
export interface FounderStatus {
  readonly name: string;
  readonly address: string;
  /** A phrase, such as `there` or `missing`. */
  readonly state: string;
  readonly why?: string;
}

/** The status document. Facts that are not known yet are absent. */
export interface NodeStatus {
  /** The version of the document's format. Version 1 had no `starting` and `stopped`, and no `failures`. */
  readonly version: 1 | 2 | 3;
  /** When the document was written, ISO 8601, by the node's clock. */
  readonly updated: string;
  readonly phase: NodePhase;
  /** The cluster's name, as configured. */
  readonly clusterName?: string;
  readonly nodeName?: string;
  /** The node's IP address. */
  readonly address?: string;
  /** The role that the node asks for. */
  readonly role?: string;
  /** The kinds of the node's evidence, joined by `+`. */
  readonly evidence?: string;
  /** The contender that took the lock. */
  readonly owner?: LockOwner;
  /** The cluster that the lock names, in the text form `sha256:…`. */
  readonly clusterId?: string;
  /** The current step, or the last one. */
  readonly step?: string;
  /** What the node waits for, as a phrase for people. */
  readonly waitsFor?: string;
  /** The last refusal by a peer. */
  readonly lastRefusal?: StatusRefusal;
  /** The error with which the bootstrapper ended. */
  readonly error?: StatusRefusal;
  /** How many starts in a row have failed, including the last. */
  readonly failures?: number;
  /** Problems that do not stop the node. */
  readonly warnings?: readonly string[];
  /** What a founder sees of the founding. */
  readonly founding?: FoundingStatus;
  /** The source of the machine's metadata, and the values that the node has from there. Absent before version 3. */
  readonly metadata?: MetadataStatus;
  /** What the names in `join.endpoints` have, while the node asks for a ticket. Absent before version 3. */
  readonly endpoints?: readonly EndpointsStatus[];
}

const VERSION = 3;

/** The form of a {@linkcode StatusRefusal}. */
export const refusalSchema: GenericSchema<unknown, StatusRefusal> = v.strictObject({
  time: v.pipe(v.string(), v.isoTimestamp("it is no time")),
  peer: v.exactOptional(v.string()),
  code: v.string(),
  message: v.string(),
  retriable: v.boolean(),
  next: v.exactOptional(v.string()),
  details: v.record(v.string(), v.string()),
  checks: v.exactOptional(
    v.array(v.strictObject({ check: v.string(), expected: v.string(), seen: v.string(), message: v.string() })),
  ),
});

const foundingSchema: GenericSchema<unknown, FoundingStatus> = v.strictObject({
  size: v.number(),
  summary: v.string(),
  founders: v.array(v.strictObject({
    name: v.string(),
    address: v.string(),
    state: v.string(),
    why: v.exactOptional(v.string()),
  })),
  unmet: v.array(v.strictObject({ address: v.string(), why: v.string() })),
  conflicts: v.array(v.string()),
  refusedHellos: v.record(v.string(), v.number()),
  waitsFor: v.exactOptional(v.strictObject({
    what: v.string(),
    from: v.array(v.string()),
    since: v.pipe(v.string(), v.isoTimestamp("it is no time")),
    error: v.exactOptional(v.string()),
  })),
});

const statusSchema: GenericSchema<unknown, NodeStatus> = v.strictObject({
  version: v.picklist([1, 2, VERSION]),
  updated: v.pipe(v.string(), v.isoTimestamp("it is no time")),
  phase: v.picklist(NODE_PHASES),
  clusterName: v.exactOptional(v.string()),
  nodeName: v.exactOptional(v.string()),
  address: v.exactOptional(v.string()),
  role: v.exactOptional(v.string()),
  evidence: v.exactOptional(v.string()),
  owner: v.exactOptional(v.picklist(LOCK_OWNERS)),
  clusterId: v.exactOptional(v.string()),
  step: v.exactOptional(v.string()),
  waitsFor: v.exactOptional(v.string()),
  lastRefusal: v.exactOptional(refusalSchema),
  error: v.exactOptional(refusalSchema),
  failures: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  warnings: v.exactOptional(v.array(v.string())),
  founding: v.exactOptional(foundingSchema),
  metadata: v.exactOptional(v.strictObject({
    source: v.string(),
    name: v.exactOptional(v.string()),
    address: v.exactOptional(v.string()),
    role: v.exactOptional(v.string()),
    endpoints: v.exactOptional(v.string()),
  })),
  endpoints: v.exactOptional(v.array(v.strictObject({
    source: v.string(),
    count: v.number(),
    endpoints: v.array(v.string()),
    leftOut: v.exactOptional(v.number()),
    failure: v.exactOptional(v.string()),
  }))),
});

const MAXIMUM_STATUS_BYTES = 1 << 16;
const STATUS_MODE = 0o644;
const LONGEST_TEXT = 1000;
const MAXIMUM_CHECKS = 32;
/** Keeps all checks of two refusals far below the maximum size of the document. */
const LONGEST_CHECK_TEXT = 256;

/**
 * Reads the status of a node; returns `undefined` if the bootstrapper never ran.
 *
 * @throws {BootstrapError} `malformed/status`, `system/file`.
 */
export async function readStatus(path: string): Promise<NodeStatus | undefined> {
  const bytes = await readFileIfExists(path, MAXIMUM_STATUS_BYTES);
  return bytes === undefined ? undefined : parseStatus(bytes, path);
}

/** Parses the bytes of a status file. `what` names the file in errors; see {@linkcode readStatus}. */
export function parseStatus(bytes: Uint8Array, what: string): NodeStatus {
  return readJson(bytes, {
    schema: statusSchema,
    maximumBytes: MAXIMUM_STATUS_BYTES,
    newest: VERSION,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/status", `Cannot read the status ${what}: ${reason}`, {
        cause,
        details: { path: what, key },
      }),
  });
}

/**
 * Converts an error to its form in the status. Texts are cut, because peers' texts could make the document too large.
 */
export function statusRefusal(error: BootstrapError, now: Date, peer?: string): StatusRefusal {
  const cut = (text: string, longest = LONGEST_TEXT) => text.slice(0, longest);
  const checks = error.checks.slice(0, MAXIMUM_CHECKS).map(({ check, expected, seen, message }) => ({
    check: cut(check, LONGEST_CHECK_TEXT),
    expected: cut(expected, LONGEST_CHECK_TEXT),
    seen: cut(seen, LONGEST_CHECK_TEXT),
    message: cut(message, LONGEST_CHECK_TEXT),
  }));
  return {
    time: now.toISOString(),
    ...(peer === undefined ? {} : { peer: cut(peer) }),
    code: cut(error.code),
    message: cut(sentenceOf(error)),
    retriable: error.retriable,
    next: cut(nextOf(error)),
    details: Object.fromEntries(
      Object.entries(error.details).slice(0, 16).map(([key, value]) => [cut(key), cut(value)]),
    ),
    ...(checks.length === 0 ? {} : { checks }),
  };
}

/** What a writer of the status needs. */
export interface StatusOptions {
  readonly path: string;
  /** Gives the time of each update. */
  readonly clock: Pick<Clock, "now">;
  /** Receives a warning if the file cannot be written. */
  readonly log: Log;
}

/** A change of the status. A key with the value `undefined` removes a fact; an absent key leaves it unchanged. */
export type StatusChange =
  & {
    readonly [K in Exclude<keyof NodeStatus, "version" | "updated" | "clusterId">]?: NodeStatus[K] | undefined;
  }
  & {
    /** 32 bytes. */
    readonly clusterId?: Uint8Array;
  };

/** The facts of a status that may change. */
export type SaidStatus = {
  readonly [K in Exclude<keyof NodeStatus, "version" | "updated" | "phase">]?: NodeStatus[K] | undefined;
};

/** Writes the status of this node. */
export class StatusWriter {
  readonly #options: StatusOptions;
  #phase: NodePhase = "detecting";
  #said: SaidStatus = {};
  #lastWrite: Promise<void> = Promise.resolve();

  /** Starts from an empty status: the first {@linkcode update} replaces what an earlier process wrote. */
  constructor(options: StatusOptions) {
    this.#options = options;
  }

  /** What the status says now. */
  get said(): SaidStatus & Pick<NodeStatus, "phase"> {
    return { ...this.#said, phase: this.#phase };
  }

  /** Changes the status and writes it. Never throws: a status that cannot be written must not stop a node. */
  async update(change: StatusChange): Promise<void> {
    const { clusterId, phase = this.#phase, ...rest } = change;
    this.#phase = phase;
    this.#said = {
      ...this.#said,
      ...rest,
      ...(clusterId === undefined ? {} : { clusterId: clusterIdText(clusterId) }),
    };
    const updated = this.#options.clock.now().toISOString();
    const status = JSON.stringify({ version: VERSION, updated, phase, ...this.#said });
    this.#lastWrite = this.#lastWrite.then(() => this.#write(status));
    await this.#lastWrite;
  }

  async #write(status: string): Promise<void> {
    const { path, log } = this.#options;
    try {
      await writeFileAtomic(path, utf8(`${status}\n`), { mode: STATUS_MODE });
    } catch (error) {
      log.event("warn", "status-not-written", { code: asBootstrapError(error).code, path });
    }
  }
}
