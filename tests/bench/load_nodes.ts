import * as v from "valibot";
import { type CertificateAuthority, createCertificateAuthority } from "../../certificate/ca.ts";
import { privateKeyPem } from "../../certificate/keys.ts";
import { base64 } from "../../platform/bytes.ts";
import type { Line } from "./line_process.ts";
import { LineProcess } from "./line_process.ts";

/** A task for several nodes. */
export interface LoadTask {
  /** `join`: obtain a ticket. `bare`: wait in the same way for a listener, and call it once. */
  readonly task: "join" | "bare";
  /** The addresses of the join services. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  readonly clusterName: string;
  /** The operator's public key, SPKI in base64. */
  readonly operatorKey: string;
  /** The number of nodes. Each node is used once. */
  readonly nodes: number;
  /** The number of nodes that work at the same time. */
  readonly concurrency: number;
  /** When nodes without a ticket give up, in milliseconds. */
  readonly deadlineMs: number;
}

/** The result of a {@linkcode LoadTask}. */
export interface LoadResult {
  /** When the first node started, in milliseconds since 1970. */
  readonly startMs: number;
  /** When each node had its ticket, in milliseconds since 1970, ascending. */
  readonly endsMs: readonly number[];
  /** The number of nodes that got no ticket. */
  readonly withoutTicket: number;
  /** The number of failures that were retried, by error code. */
  readonly retried: Readonly<Record<string, number>>;
}

const resultSchema = v.object({
  startMs: v.number(),
  endsMs: v.array(v.number()),
  failures: v.record(v.string(), v.number()),
});
/** The organization in the certificates of the nodes' endorsement keys. */
export const EK_ORGANIZATION = "load";

/** Nodes that run in a few separate processes. */
export class LoadNodes implements AsyncDisposable {
  /** The authority that certified the nodes' endorsement keys. */
  readonly authority: CertificateAuthority;
  readonly #processes: readonly LineProcess[];
  #used = 0;

  private constructor(processes: readonly LineProcess[], authority: CertificateAuthority) {
    this.#processes = processes;
    this.authority = authority;
  }

  /** Starts the processes and makes the nodes' TPMs. `count` is a multiple of `processes`. */
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

  /** Starts a task, and returns when all nodes are about to begin. The returned function waits for the result. */
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

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
  }
}
