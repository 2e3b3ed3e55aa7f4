import * as v from "valibot";
import { type CertificateAuthority, createCertificateAuthority } from "../../certificate/ca.ts";
import { privateKeyPem } from "../../certificate/keys.ts";
import { base64 } from "../../platform/bytes.ts";
import type { Line } from "./line_process.ts";
import { LineProcess } from "./line_process.ts";

/** What some nodes are to do. */
export interface LoadTask {
  /** `join`: obtain a ticket. `bare`: wait in the same way for a listener, and call it once. */
  readonly task: "join" | "bare";
  /** Where to ask. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** The cluster's name. */
  readonly clusterName: string;
  /** The operator's key, SPKI in base64. */
  readonly operatorKey: string;
  /** How many nodes; each is used once. */
  readonly nodes: number;
  /** How many of them at once. */
  readonly concurrency: number;
  /** When those without a ticket give up, milliseconds. */
  readonly deadlineMs: number;
}

/** How it went. */
export interface LoadResult {
  /** When the first began, milliseconds since 1970. */
  readonly startMs: number;
  /** When each had its ticket, ascending. */
  readonly endsMs: readonly number[];
  /** How many have none. */
  readonly withoutTicket: number;
  /** What failed on the way and was tried again, by code. */
  readonly retried: Readonly<Record<string, number>>;
}

const resultSchema = v.object({
  startMs: v.number(),
  endsMs: v.array(v.number()),
  failures: v.record(v.string(), v.number()),
});
/** What the certificates of the nodes' endorsement keys say. */
export const EK_ORGANIZATION = "load";

/** Nodes in a few processes of their own. */
export class LoadNodes implements AsyncDisposable {
  /** The authority that certified the nodes' endorsement keys. */
  readonly authority: CertificateAuthority;
  readonly #processes: readonly LineProcess[];
  #used = 0;

  private constructor(processes: readonly LineProcess[], authority: CertificateAuthority) {
    this.#processes = processes;
    this.authority = authority;
  }

  /** Starts the processes and makes the nodes' TPMs; `count` is a multiple of `processes`. */
  static async create(count: number, processes: number): Promise<LoadNodes> {
    const each = Math.ceil(count / processes);
    const module = new URL("./nodes_process.ts", import.meta.url);
    const started = Array.from({ length: processes }, (_, i) => LineProcess.module(module, [`w${i}`, String(each)]));
    const authority = await createCertificateAuthority(new Date());
    const line = { certificate: base64(authority.certificate.der), keyPem: await privateKeyPem(authority.keys) };
    await Promise.all(started.map(async (one) => {
      await one.send(line);
      await one.event("ready");
    }));
    return new LoadNodes(started, authority);
  }

  /** Starts a task; gives its result when all have ended. Returns when all nodes are about to begin. */
  async begin(task: LoadTask): Promise<() => Promise<LoadResult>> {
    const { nodes, concurrency, ...rest } = task;
    const share = (total: number) => Math.ceil(total / this.#processes.length);
    const count = share(nodes);
    const first = this.#used;
    if (task.task === "join") this.#used += count;
    const line: Line = { ...rest, first, count, concurrency: share(concurrency) };
    await Promise.all(this.#processes.map(async (process) => {
      await process.send(line);
      await process.event("prepared");
    }));
    return async () => {
      const lines = await Promise.all(this.#processes.map((process) => process.event("done")));
      const results = lines.map((done) => v.parse(resultSchema, done));
      const endsMs = results.flatMap((result) => result.endsMs).toSorted((a, b) => a - b);
      const retried: Record<string, number> = {};
      for (const [code, times] of results.flatMap(({ failures }) => Object.entries(failures))) {
        retried[code] = (retried[code] ?? 0) + times;
      }
      return {
        startMs: Math.min(...results.map(({ startMs }) => startMs)),
        endsMs,
        withoutTicket: count * this.#processes.length - endsMs.length,
        retried,
      };
    };
  }

  /** Ends the processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
  }
}
