import { systemClock } from "../../platform/clock.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { quantile } from "./figures.ts";
import { LineProcess } from "./line_process.ts";
import { freePort, LoadCluster } from "./load_cluster.ts";
import type { LoadResult } from "./load_nodes.ts";
import { LoadNodes } from "./load_nodes.ts";
import { measurePairs, pick } from "./pairs.ts";

/** The number of processes for the nodes. Each count is rounded up to a multiple of it. */
const PROCESSES = 2;
const WARM_UP = 30;
const WAITING = 100;
const TICKETS_A_ROUND = 120;
const CONCURRENCY = 32;
const AT_ONCE = 1_000;
const DEADLINE_MS = 300_000;
/** How long all nodes wait before the service starts: several of their polling intervals. */
const BEFORE_START_MS = 1_500;
const BARE_CALL = "TLS 1.3 + gRPC, connect and one call";
const BARE_WAIT = `${BARE_CALL}, waited for in the same way`;

/** What the measurements work with. */
interface Load {
  readonly nodes: LoadNodes;
  readonly cluster: LoadCluster;
  readonly binary: string;
  readonly rounds: number;
}

/**
 * Measures attested joins with a real API server and the compiled join service, with evidence in the TPM's form: (b)
 * waiting nodes, (c) tickets per second and their processor time, (d) a thousand nodes at once.
 */
export const benchJoins: BenchPart = async ({ binary, rounds }) => {
  await using nodes = await LoadNodes.create(PROCESSES);
  await using cluster = await LoadCluster.create(nodes.authority);
  const load = { nodes, cluster, binary, rounds };
  return [...await benchWaiting(load), ...await benchThroughput(load), ...await benchAtOnce(load)];
};

/** Part (b). Each round has a service of its own. */
async function benchWaiting({ nodes, cluster, binary, rounds }: Load): Promise<Figure[]> {
  const all = { nodes: WAITING, concurrency: WAITING, deadlineMs: DEADLINE_MS };
  const pairs = await measurePairs(rounds, async () => {
    const waiting = await nodes.begin({ task: "join", ...cluster.target, ...all });
    await systemClock.sleep(BEFORE_START_MS);
    await using service = await cluster.startService(binary);
    return since(finished(await waiting()), service.atMs);
  }, async () => {
    await using bare = await bareProcess();
    const port = freePort();
    const waiting = await nodes.begin({ task: "bare", endpoints: [{ host: "127.0.0.1", port }], ...all });
    await systemClock.sleep(BEFORE_START_MS);
    await bare.send({ port });
    const { atMs } = await bare.event("listening");
    return since(finished(await waiting()), Number(atMs));
  });
  const figure = (part: number, limit: number): Figure => ({
    ...{ name: `(b) service's listen to ticket, ${WAITING} waiting nodes, p${part * 100}`, unit: "ms" },
    baseline: BARE_WAIT,
    ...pick(pairs, (timesMs) => quantile(timesMs, part), (timesMs) => quantile(timesMs, part)),
    goal: { of: "value", is: "at most", limit },
  });
  return [figure(0.5, 500), figure(0.99, 1_500)];
}

/** Part (c). One service serves all rounds, as does one bare server. */
async function benchThroughput({ nodes, cluster, binary, rounds }: Load): Promise<Figure[]> {
  await using service = await cluster.startService(binary);
  await using bare = await bareProcess();
  const endpoints = [{ host: "127.0.0.1", port: await listening(bare, 0) }];
  const processorMs = async (processes: readonly LineProcess[]) => {
    const times = await Promise.all(processes.map((process) => process.processorMs()));
    return times.reduce((sum, one) => sum + one, 0);
  };
  const of = async (processes: readonly LineProcess[], work: () => Promise<LoadResult>) => {
    const before = await processorMs(processes);
    const result = finished(await work());
    return { perSecond: rateOf(result), eachMs: (await processorMs(processes) - before) / result.endsMs.length };
  };
  const some = (count: number) => ({ nodes: count, concurrency: CONCURRENCY, deadlineMs: DEADLINE_MS });
  const tickets = (count: number) => nodes.run({ task: "join", ...cluster.target, ...some(count) });
  const requests = (count: number) => nodes.run({ task: "csr", ...cluster.admin, ...some(count) });
  const calls = (count: number) => nodes.run({ task: "bare", endpoints, ...some(count) });
  for (const warmUp of [tickets, requests, calls]) await warmUp(WARM_UP);
  const pairs = await measurePairs(
    rounds,
    () => of([service.signer, service.front], () => tickets(TICKETS_A_ROUND)),
    async () => ({
      perSecond: rateOf(finished(await requests(TICKETS_A_ROUND))),
      eachMs: (await of([bare], () => calls(TICKETS_A_ROUND))).eachMs,
    }),
  );
  const rate = ({ perSecond }: { readonly perSecond: number }) => perSecond;
  const each = ({ eachMs }: { readonly eachMs: number }) => eachMs;
  return [
    {
      ...{ name: "(c) attested tickets", unit: "/s", ...pick(pairs, rate, rate) },
      baseline: "CSRs: created, approved, signed, read back",
      goal: { of: "ratio", is: "at least", limit: 1 },
    },
    {
      ...{ name: "(c') processor time of a ticket, signer and front", unit: "ms", ...pick(pairs, each, each) },
      baseline: `the server's, ${BARE_CALL}`,
      goal: { of: "value", is: "at most", limit: 6 },
    },
  ];
}

/** Part (d). Each round has a service of its own. */
async function benchAtOnce({ nodes, cluster, binary, rounds }: Load): Promise<Figure[]> {
  const all = { nodes: AT_ONCE, concurrency: AT_ONCE, deadlineMs: DEADLINE_MS };
  const pairs = await measurePairs(rounds, async () => {
    await using service = await cluster.startService(binary);
    const result = await nodes.run({ task: "join", ...cluster.target, ...all });
    const memories = await Promise.all([service.signer.memory(), service.front.memory()]);
    return { ...crowd(result), peakMb: memories.reduce((sum, { peakMb }) => sum + peakMb, 0) };
  }, async () => {
    await using bare = await bareProcess();
    const endpoints = [{ host: "127.0.0.1", port: await listening(bare, 0) }];
    const result = await nodes.run({ task: "bare", endpoints, ...all });
    return { ...crowd(result), peakMb: (await bare.memory()).peakMb };
  });
  const name = `(d) ${AT_ONCE} nodes at once`;
  const part = (of: "unfinished" | "p50Ms" | "p99Ms" | "peakMb") => pick(pairs, (one) => one[of], (one) => one[of]);
  return [
    {
      ...{ name: `${name}, without a ticket`, baseline: BARE_CALL, unit: "", ...part("unfinished") },
      goal: { of: "each value", is: "at most", limit: 0 },
    },
    { name: `${name}, p50`, baseline: BARE_CALL, unit: "ms", ...part("p50Ms") },
    {
      ...{ name: `${name}, p99`, baseline: BARE_CALL, unit: "ms", ...part("p99Ms") },
      goal: { of: "value", is: "at most", limit: 15_000 },
    },
    {
      ...{ name: `${name}, peak memory of signer and front`, unit: "MB", ...part("peakMb") },
      baseline: "that of the bare gRPC server",
      goal: { of: "value", is: "at most", limit: 250 },
    },
  ];
}

function crowd(result: LoadResult) {
  const timesMs = since(result, result.startMs);
  return { unfinished: result.unfinished, p50Ms: quantile(timesMs, 0.5), p99Ms: quantile(timesMs, 0.99) };
}

async function bareProcess(): Promise<LineProcess> {
  const bare = LineProcess.module(new URL("./bare_process.ts", import.meta.url));
  await bare.event("ready");
  return bare;
}

/** Has a bare server listen, and returns its port. */
async function listening(bare: LineProcess, port: number): Promise<number> {
  await bare.send({ port });
  return Number((await bare.event("listening"))["port"]);
}

/** Refuses a result that would make its figure look better than it is. */
function finished(result: LoadResult): LoadResult {
  if (result.unfinished === 0) return result;
  throw new Error(`${result.unfinished} nodes were not done in time; retried: ${JSON.stringify(result.retried)}`);
}

function rateOf({ startMs, endsMs }: LoadResult): number {
  return endsMs.length / ((endsMs.at(-1) ?? NaN) - startMs) * 1000;
}

function since({ endsMs }: LoadResult, startMs: number): number[] {
  return endsMs.map((endMs) => endMs - startMs);
}
