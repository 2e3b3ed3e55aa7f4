import { waitUntil } from "../e2e/wait_until.ts";
import { RunWorld } from "../integration/node/run_machine.ts";
import { RunOperator } from "../integration/node/run_operator.ts";
import { capture } from "../tools/run.ts";
import type { WorldNode } from "../world_node.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { measurePairs, millisecondsOf, pick } from "./pairs.ts";
import { memoryOf, proportionalMemoryOf } from "./process_usage.ts";

const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const DEADLINE_MS = 60_000;
/** After this time the garbage of the start has been collected. */
const SETTLED_MS = 3_000;
/** Prints the time, milliseconds since 1970, and becomes the program: the namespaces are entered before. */
const TIMED_EXEC = 'date +%s%3N; exec "$@"';

/** What one start shows. */
interface Start {
  readonly listenMs: number;
  /** The memory of the process with the program's keys, MB. */
  readonly ownMb: number;
  /** The memory of all processes of the program, MB. */
  readonly allMb: number;
}

/**
 * (e): measures the compiled binary, started as on a node: the time until its InitServer listens, and the memory that
 * it uses while it waits.
 */
export const benchRun: BenchPart = async ({ binary, rounds }) => {
  await using world = await RunWorld.create();
  const { publicKey } = await RunOperator.create(world);
  const { node } = await world.machine("cp-1", publicKey, { init: true });
  let starts = 0;
  const pairs = await measurePairs(rounds, () => startAndKill(node, binary, `bench-${++starts}`), async () => ({
    evalMs: await millisecondsOf(() => capture([Deno.execPath(), "eval", "0"])),
    ...await idleMemory(),
  }));
  const memory = (name: string, baseline: string): Omit<Figure, "values" | "baselineValues"> => ({
    ...{ name: `(e) memory of \`run\` while it waits, ${name}`, baseline: `deno, waiting, ${baseline}`, unit: "MB" },
    goal: { of: "value", is: "at most", limit: 80 },
  });
  return [
    {
      ...{ name: "(e) exec to InitServer listening (compiled)", baseline: "deno eval 0", unit: "ms" },
      ...pick(pairs, ({ listenMs }) => listenMs, ({ evalMs }) => evalMs),
      goal: { of: "value", is: "at most", limit: 150 },
    },
    { ...memory("its process (RSS)", "RSS"), ...pick(pairs, ({ ownMb }) => ownMb, ({ ownMb }) => ownMb) },
    { ...memory("with its front (PSS)", "PSS"), ...pick(pairs, ({ allMb }) => allMb, ({ allMb }) => allMb) },
  ];
};

async function startAndKill(node: WorldNode, binary: string, log: string): Promise<Start> {
  const argv = ["sh", "-euc", TIMED_EXEC, "sh", binary, "run", "--config", CONFIGURATION] as const;
  const process = node.start([...argv], { log });
  const what = `init-server-listening in ${process.log}`;
  const lines = await waitUntil({ what, deadlineMs: DEADLINE_MS, everyMs: 20 }, async () => {
    const lines = (await Deno.readTextFile(process.log).catch(() => "")).split("\n");
    return lines.some((line) => line.includes('"init-server-listening"')) ? lines : undefined;
  });
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  const pids = await pidsOf(binary);
  const own = Math.min(...pids);
  const memories = await Promise.all(pids.map(proportionalMemoryOf));
  const { nowMb } = await memoryOf(own);
  await process.kill();
  await process.ended;
  const { time } = JSON.parse(lines.find((line) => line.includes('"init-server-listening"')) ?? "{}");
  return {
    listenMs: Date.parse(time) - Number(lines[0]),
    ownMb: nowMb,
    allMb: memories.reduce((sum, one) => sum + one, 0),
  };
}

/** The process IDs of all processes that run the program, in any namespace. The one that was started has the lowest. */
async function pidsOf(binary: string): Promise<number[]> {
  const { dev, ino } = await Deno.stat(binary);
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const program = await Deno.stat(`/proc/${name}/exe`).catch(() => undefined);
    if (program?.dev === dev && program.ino === ino) pids.push(Number(name));
  }
  if (pids.length === 0) throw new Error(`${binary} does not run`);
  return pids;
}

async function idleMemory(): Promise<Pick<Start, "ownMb" | "allMb">> {
  const script = "console.log(); setTimeout(() => {}, 60000)";
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped" }).spawn();
  try {
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    return { ownMb: (await memoryOf(child.pid)).nowMb, allMb: await proportionalMemoryOf(child.pid) };
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}
