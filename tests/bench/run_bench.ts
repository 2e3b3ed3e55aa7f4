import { waitUntil } from "../e2e/wait_until.ts";
import { RunWorld } from "../integration/node/run_machine.ts";
import { RunOperator } from "../integration/node/run_operator.ts";
import type { WorldNode } from "../world_node.ts";
import type { Figure } from "./figures.ts";
import { memoryOf } from "./line_process.ts";
import { median, millisecondsOf } from "./pairs.ts";
import { capture } from "../tools/run.ts";

const REPETITIONS = 9;
const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const DEADLINE_MS = 30_000;
/** After this time the garbage of the start has been collected. */
const SETTLED_MS = 3_000;

/**
 * (e): measures the compiled binary, started as on a node: the time until its InitServer listens, and the resources
 * that it uses while it waits.
 */
export async function benchRun(binary: string): Promise<Figure[]> {
  await using world = await RunWorld.create();
  const { publicKey } = await RunOperator.create(world);
  const { node } = await world.machine("cp-1", publicKey, { init: true });
  const times: number[] = [];
  const baselineTimes: number[] = [];
  let waiting = NaN;
  for (let i = 0; i < REPETITIONS; i++) {
    const isLast = i === REPETITIONS - 1;
    const { listenMs, memoryMb } = await startAndKill(node, binary, `bench-${i}`, isLast ? SETTLED_MS : 0);
    times.push(listenMs);
    waiting = memoryMb;
    baselineTimes.push(await millisecondsOf(() => capture([Deno.execPath(), "eval", "0"])));
  }
  return [
    {
      ...{ name: "(e) exec to InitServer listening (compiled)", baseline: "deno eval 0", unit: "ms" },
      ...{ value: median(times), baselineValue: median(baselineTimes) },
      goal: { of: "value", is: "at most", limit: 150 },
    },
    {
      ...{ name: "(e) memory of `run` while it waits", baseline: "deno, waiting for a timer", unit: "MB" },
      ...{ value: waiting, baselineValue: await idleMemory() },
      goal: { of: "value", is: "at most", limit: 100 },
    },
  ];
}

async function startAndKill(node: WorldNode, binary: string, log: string, settledMs: number) {
  const startMs = Date.now();
  const process = node.start([binary, "run", "--config", CONFIGURATION], { log });
  const what = `init-server-listening in ${process.log}`;
  const line = await waitUntil({ what, deadlineMs: DEADLINE_MS, everyMs: 5 }, async () => {
    const lines = (await Deno.readTextFile(process.log).catch(() => "")).split("\n");
    return lines.find((text) => text.includes('"init-server-listening"'));
  });
  await new Promise((resolve) => setTimeout(resolve, settledMs));
  const memoryMb = (await memoryOf(await pidOf(binary))).nowMb;
  await process.kill();
  await process.ended;
  const { time } = JSON.parse(line);
  return { listenMs: Date.parse(time) - startMs, memoryMb };
}

/** The process ID of the only process that runs the program. */
async function pidOf(binary: string): Promise<number> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    if (await Deno.readLink(`/proc/${name}/exe`).catch(() => "") === binary) return Number(name);
  }
  throw new Error(`${binary} does not run`);
}

async function idleMemory(): Promise<number> {
  const script = "console.log(); setTimeout(() => {}, 60000)";
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped" }).spawn();
  try {
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    return (await memoryOf(child.pid)).nowMb;
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}
