import { join } from "node:path";
import { createFoundingToken } from "../../protocol/founding_token.ts";
import { type Holder, inNetwork, startHolder } from "../_world_process.ts";
import { waitUntil } from "../e2e/wait_until.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { quantile } from "./figures.ts";
import type { FounderProcessOptions } from "./founder_process.ts";
import { LineProcess } from "./line_process.ts";
import { measurePairs, median, pick } from "./pairs.ts";
import { memoryOf, processorMsOf } from "./process_usage.ts";

const SIZES = [3, 5, 7] as const;
/** The foundings of one round. */
const FOUNDINGS = 4;
const LISTEN_PORT = 9443;
const PEER_PORT = 9445;
const CLIENT_PORT = 9446;
const DEADLINE_MS = 120_000;
/** A founder's etcd has these times (`founding/etcd_process.ts`). */
const RAFT_TIMES = ["--heartbeat-interval=500", "--election-timeout=5000"];
const PROGRAM = new URL("./founder_process.ts", import.meta.url);

/** What one founding, or the start of as many members of etcd, shows. */
interface Founding {
  /** From when the last one listens, or is started, until the last one knows the decision, or etcd's leader. */
  readonly decidedMs: number;
  /** The most memory of one founder so far, with its etcd, MB. */
  readonly memoryMb: number;
  /** The processor time of one founder since its start, with its etcd, milliseconds; the mean of all. */
  readonly processorMs: number;
}

/**
 * (h): founders by token, each a process with an etcd of its own, on loopback addresses of one network namespace: the time
 * from when the last one listens until all know who founds. The baseline is as many bare members of etcd with the same
 * times of raft, until each knows a leader.
 */
export const benchFounding: BenchPart = async ({ rounds }) => {
  const { dir } = await prepareBinaries();
  await using holder = await startHolder(["--net"]);
  await inNetwork(holder, ["ip", "link", "set", "lo", "up"]);
  const place = { holder, etcd: join(dir, "etcd") };
  const figures: Figure[] = [];
  for (const size of SIZES) {
    const pairs = await measurePairs(
      rounds,
      () => repeated(place, size, found),
      () => repeated(place, size, electBare),
    );
    const figure = (name: string, unit: string, of: (some: readonly Founding[]) => number): Figure => ({
      ...{ name: `(h) ${size} founders: ${name}`, baseline: `${size} bare members of etcd`, unit },
      ...pick(pairs, of, of),
    });
    const timeOf = (part: number) => (some: readonly Founding[]) =>
      quantile(some.map(({ decidedMs }) => decidedMs), part);
    figures.push(
      { ...figure("the last one listens → decided, p50", "ms", timeOf(0.5)), goal: GOAL },
      { ...figure("the same, p99", "ms", timeOf(0.99)), goal: GOAL },
      figure("peak memory of one, with its etcd", "MB", (some) => Math.max(...some.map(({ memoryMb }) => memoryMb))),
      figure(
        "processor time of one, with its etcd",
        "ms",
        (some) => median(some.map(({ processorMs }) => processorMs)),
      ),
    );
  }
  return figures;
};

const GOAL = { of: "value", is: "at most", limit: 3_000 } as const;

interface Place {
  readonly holder: Holder;
  /** The path of etcd. */
  readonly etcd: string;
}

type Measure = (place: Place, size: number, folder: string) => Promise<Founding>;

async function repeated(place: Place, size: number, measure: Measure): Promise<Founding[]> {
  const all: Founding[] = [];
  for (let count = 0; count < FOUNDINGS; count++) {
    const folder = await Deno.makeTempDir({ prefix: "bootstrapper-bench-" });
    try {
      all.push(await measure(place, size, folder));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return all;
}

/** Loopback addresses, one a founder. */
function hostsOf(size: number): string[] {
  return Array.from({ length: size }, (_, index) => `127.0.0.${index + 11}`);
}

async function found({ holder, etcd }: Place, size: number, folder: string): Promise<Founding> {
  const token = createFoundingToken();
  const hosts = hostsOf(size);
  await using stack = new AsyncDisposableStack();
  const processes: LineProcess[] = [];
  for (const [index, host] of hosts.entries()) {
    const own = join(folder, host);
    await Deno.mkdir(own, { mode: 0o700 });
    const options: FounderProcessOptions = {
      ...{ name: `n${index + 1}`, listen: `${host}:${LISTEN_PORT}`, address: `${host}:${PEER_PORT}` },
      ...{ peers: hosts.map((peer) => `${peer}:${LISTEN_PORT}`), token, folder: own, etcd },
    };
    const program = [Deno.execPath(), "run", "--allow-all", "--no-check", PROGRAM.pathname, JSON.stringify(options)];
    processes.push(stack.use(LineProcess.start(inside(holder, program))));
  }
  const times = async (event: string) =>
    Math.max(...await Promise.all(processes.map(async (one) => Number((await one.event(event))["atMs"]))));
  const listeningMs = await times("listening");
  const decidedMs = await times("decided") - listeningMs;
  return { decidedMs, ...await usageOf(processes.map(({ pid }) => pid)) };
}

async function electBare({ holder, etcd }: Place, size: number, folder: string): Promise<Founding> {
  const hosts = hostsOf(size);
  const cluster = hosts.map((host, index) => `n${index + 1}=http://${host}:${PEER_PORT}`).join(",");
  await using stack = new AsyncDisposableStack();
  const startMs = performance.now();
  const processes = hosts.map((host, index) => {
    const [peer, client] = [`http://${host}:${PEER_PORT}`, `http://${host}:${CLIENT_PORT}`];
    const urls = [
      ...[`--initial-advertise-peer-urls=${peer}`, `--listen-peer-urls=${peer}`],
      ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ];
    const where = [`--name=n${index + 1}`, `--data-dir=${join(folder, host)}`, `--initial-cluster=${cluster}`];
    return stack.use(LineProcess.start(inside(holder, [etcd, ...where, ...urls, ...RAFT_TIMES, "--log-level=error"])));
  });
  await Promise.all(hosts.map((host) => hasLeader(holder, host)));
  return { decidedMs: performance.now() - startMs, ...await usageOf(processes.map(({ pid }) => pid)) };
}

/** Waits until a member knows a leader (etcd's `/health`). */
async function hasLeader(holder: Holder, host: string): Promise<void> {
  const url = `http://${host}:${CLIENT_PORT}/health`;
  await waitUntil({ what: `leader at ${host}`, deadlineMs: DEADLINE_MS, everyMs: 20 }, async () => {
    const answer = await inNetwork(holder, ["curl", "--silent", "--max-time", "2", url]).catch(() => "");
    return answer.includes('"health":"true"') || undefined;
  });
}

/** Memory and processor time of processes, each with its children. */
async function usageOf(pids: readonly number[]): Promise<Pick<Founding, "memoryMb" | "processorMs">> {
  const all = await Promise.all(pids.map(async (pid) => {
    const own = [pid, ...await childrenOf(pid)];
    const [memories, times] = [await Promise.all(own.map(memoryOf)), await Promise.all(own.map(processorMsOf))];
    return {
      memoryMb: memories.reduce((sum, { peakMb }) => sum + peakMb, 0),
      processorMs: times.reduce((sum, one) => sum + one, 0),
    };
  }));
  return {
    memoryMb: Math.max(...all.map(({ memoryMb }) => memoryMb)),
    processorMs: all.reduce((sum, one) => sum + one.processorMs, 0) / all.length,
  };
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

/** The command line that runs a program in the holder's network, in the same process. */
function inside(holder: Holder, argv: readonly string[]): string[] {
  return ["nsenter", "--target", String(holder.pid), "--net", "--", ...argv];
}
