import * as v from "valibot";
import { type CertificateAuthority, createCertificateAuthority } from "../../certificate/ca.ts";
import { privateKeyPem } from "../../certificate/keys.ts";
import { base64 } from "../../platform/bytes.ts";
import { LineProcess } from "./line_process.ts";
import type { LoadTask } from "./load_task.ts";

/** The result of a {@linkcode LoadTask}. */
export interface LoadResult {
  /** When the first node started, in milliseconds since 1970. */
  readonly startMs: number;
  /** When each node was done, in milliseconds since 1970, ascending. */
  readonly endsMs: readonly number[];
  /** The number of nodes that were not done in time. */
  readonly unfinished: number;
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

  private constructor(processes: readonly LineProcess[], authority: CertificateAuthority) {
    this.#processes = processes;
    this.authority = authority;
  }

  /** Starts the processes. */
  static async create(processes: number): Promise<LoadNodes> {
    const module = new URL("./nodes_process.ts", import.meta.url);
    const started = Array.from({ length: processes }, (_, i) => LineProcess.module(module, [`w${i}`]));
    const authority = await createCertificateAuthority(new Date());
    const line = { certificate: base64(authority.certificate.der), keyPem: await privateKeyPem(authority.keys) };
    await Promise.all(started.map(async (one) => {
      await one.send(line);
      await one.event("ready");
    }));
    return new LoadNodes(started, authority);
  }

  /**
   * Starts a task, and returns when all nodes are about to begin. The returned function waits for the result. The
   * numbers of nodes, and of those at the same time, are divided among the processes, and rounded up.
   */
  async begin(task: LoadTask): Promise<() => Promise<LoadResult>> {
    const share = (total: number) => Math.ceil(total / this.#processes.length);
    const nodes = share(task.nodes);
    await Promise.all(this.#processes.map(async (process) => {
      await process.send({ ...task, nodes, concurrency: share(task.concurrency) });
      await process.event("prepared");
    }));
    // All of them begin together, however long each has prepared.
    await Promise.all(this.#processes.map((process) => process.send({ begin: true })));
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
        unfinished: nodes * this.#processes.length - endsMs.length,
        retried,
      };
    };
  }

  /** Does a whole task. */
  async run(task: LoadTask): Promise<LoadResult> {
    return await (await this.begin(task))();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
  }
}
