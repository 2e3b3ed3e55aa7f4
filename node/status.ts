/**
 * What the bootstrapper of a node does now, as a small document on disk that `bootstrapper status` reads.
 *
 * @module
 */
import * as v from "valibot";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { LOCK_OWNERS } from "../nodelock/record.ts";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError as BootstrapFailure } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";

/** Where a node is in its life. `failed`: the bootstrapper ended with an error; systemd may start it again. */
export const NODE_PHASES = ["starting", "racing", "initialising", "joining", "member", "failed"] as const;
/** Where a node is in its life. */
export type NodePhase = typeof NODE_PHASES[number];

const refusalSchema = v.strictObject({
  time: v.pipe(v.string(), v.isoTimestamp()),
  peer: v.optional(v.string()),
  code: v.string(),
  message: v.string(),
  retriable: v.boolean(),
  next: v.optional(v.string()),
  details: v.record(v.string(), v.string()),
});

const statusSchema = v.strictObject({
  version: v.literal(1),
  updated: v.pipe(v.string(), v.isoTimestamp()),
  phase: v.picklist(NODE_PHASES),
  clusterName: v.optional(v.string()),
  nodeName: v.optional(v.string()),
  address: v.optional(v.string()),
  role: v.optional(v.string()),
  evidence: v.optional(v.string()),
  owner: v.optional(v.picklist(LOCK_OWNERS)),
  clusterId: v.optional(v.string()),
  waitsFor: v.optional(v.string()),
  lastRefusal: v.optional(refusalSchema),
  error: v.optional(refusalSchema),
  warnings: v.optional(v.array(v.string())),
});

/** A refusal or a failure, by whom where a peer is at the other end. Its details have `check`, `expected` and `seen`. */
export type StatusRefusal = Readonly<v.InferOutput<typeof refusalSchema>>;
/** The status document. `updated` is by the node's clock; `clusterId` in its text form `sha256:…`. */
export type NodeStatus = Readonly<v.InferOutput<typeof statusSchema>>;

const MAXIMUM_STATUS_BYTES = 1 << 16;
const STATUS_MODE = 0o644;
const LONGEST_TEXT = 1000;

/**
 * Reads the status of a node, or `undefined` where the bootstrapper never ran.
 *
 * @throws {BootstrapError} `malformed/status`, `system/file`.
 */
export async function readStatus(path: string): Promise<NodeStatus | undefined> {
  const bytes = await readFileIfExists(path, MAXIMUM_STATUS_BYTES);
  return bytes === undefined ? undefined : parseStatus(bytes, path);
}

/** The status that a file's bytes stand for. `what` names it in errors; see {@linkcode readStatus}. */
export function parseStatus(bytes: Uint8Array, what: string): NodeStatus {
  try {
    return v.parse(statusSchema, JSON.parse(fromUtf8(bytes, what)));
  } catch (cause) {
    throw new BootstrapFailure("malformed/status", `Cannot read the status ${what}`, { cause, details: { path: what } });
  }
}

/** An error as the status shows it; texts from peers are cut so that the document stays small. */
export function statusRefusal(error: BootstrapError, now: Date, peer?: string): StatusRefusal {
  const cut = (text: string) => text.slice(0, LONGEST_TEXT);
  return {
    time: now.toISOString(),
    ...(peer === undefined ? {} : { peer: cut(peer) }),
    code: cut(error.code),
    message: cut(error.message),
    retriable: error.retriable,
    ...(error.next === "" ? {} : { next: cut(error.next) }),
    details: Object.fromEntries(
      Object.entries(error.details).slice(0, 16).map(([key, value]) => [cut(key), cut(value)]),
    ),
  };
}

/** What a writer of the status needs. */
export interface StatusOptions {
  /** The file. */
  readonly path: string;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** What can be said of a node; `undefined` takes a statement back, a key that is left out leaves it as it was. */
export type StatusChange = {
  readonly [K in Exclude<keyof NodeStatus, "version" | "updated" | "clusterId">]?: NodeStatus[K] | undefined;
} & {
  /** 32 bytes. */
  readonly clusterId?: Uint8Array;
};

/** Writes the status of this node. */
export class StatusWriter {
  readonly #options: StatusOptions;
  #status: Omit<NodeStatus, "updated"> = { version: 1, phase: "starting" };
  #lastWrite: Promise<void> = Promise.resolve();

  /** Begins anew: what an earlier process said is gone with the first {@linkcode update}. */
  constructor(options: StatusOptions) {
    this.#options = options;
  }

  /** Changes the status and writes it. Never throws: a status that cannot be written must not stop a node. */
  async update(change: StatusChange): Promise<void> {
    const { clusterId, ...rest } = change;
    this.#status = {
      ...without(this.#status, Object.keys(rest)),
      ...defined(rest),
      ...(clusterId === undefined ? {} : { clusterId: clusterIdText(clusterId) }),
    };
    const status: NodeStatus = { ...this.#status, updated: this.#options.clock.now().toISOString() };
    this.#lastWrite = this.#lastWrite.then(() => this.#write(status));
    await this.#lastWrite;
  }

  async #write(status: NodeStatus): Promise<void> {
    const { path, log } = this.#options;
    try {
      await writeFileAtomic(path, utf8(`${JSON.stringify(status)}\n`), { mode: STATUS_MODE });
    } catch (error) {
      log.event("warn", "status-not-written", { code: asBootstrapError(error).code, path });
    }
  }
}
