/**
 * Fuzzes a target in a separate process. The process is killed when one input keeps it busy too long; if it dies by
 * itself, that is a failure as well.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../platform/clock.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { measureProcessorSlowdown } from "../tools/machine_speed.ts";
import type { LoopResult } from "./_fuzz_loop.ts";
import { readProgress } from "./_progress.ts";
import type { WorkerReport, WorkerTask } from "./_worker.ts";

/**
 * How long one input may keep the processor busy before the process is killed, in milliseconds of the reference
 * machine. The process itself reports a slow input that ends before; it feeds such an input twice.
 */
const HANG_CPU_MS = 8_000;
/**
 * How long one input may take by the clock, in milliseconds of the reference machine. It detects an input that waits
 * for an answer that never comes.
 */
const HANG_MS = 60_000;
const LOOK_MS = 250;
/** The size of V8's heap, in MiB. */
const HEAP_MIB = 384;
/** The tick of the kernel's clock, in which it counts a process's time (`getconf CLK_TCK`). */
const TICK_MS = 10;
const WORKER = fileURLToPath(new URL("_worker.ts", import.meta.url));

/** Fuzzes a target; `folder` is for the process's files. */
export async function supervise(task: Omit<WorkerTask, "progress">, folder: string): Promise<LoopResult> {
  const progress = join(folder, `${task.target}.progress`);
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", `--v8-flags=--max-old-space-size=${HEAP_MIB}`],
      ...["--allow-read", "--allow-write", "--allow-env", "--allow-sys", WORKER, JSON.stringify({ ...task, progress })],
    ],
    env: { NO_COLOR: "1", TMPDIR: folder },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = process.output();
  const watch = new AbortController();
  const hung = watchInputs(process, progress, watch.signal);
  const { stdout, stderr, code, signal } = await ended;
  watch.abort();
  const why = await hung;
  const last = new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "";
  if (last !== "") return resultOf(JSON.parse(last));
  const at = await readProgress(progress);
  const text = new TextDecoder().decode(stderr).trim().slice(-4000);
  return {
    ...{ executions: at?.count ?? 0, outcomes: 0, corpus: 0, peakRss: 0 },
    failure: { input: at?.input ?? new Uint8Array(), why: why ?? `the process ended with ${signal ?? code}: ${text}` },
  };
}

function resultOf({ failure, ...rest }: WorkerReport): LoopResult {
  if (failure === undefined) return rest;
  const input: Bytes = Uint8Array.fromBase64(failure.input);
  return { ...rest, failure: { why: failure.why, input } };
}

/** Kills the process when one input takes too long, and returns the reason. */
async function watchInputs(
  process: Deno.ChildProcess,
  progress: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let [count, since, cpuSince] = [-1, 0, 0];
  let slowdown: number | undefined;
  while (!signal.aborted) {
    await systemClock.sleep(LOOK_MS, signal).catch(() => {});
    const at = await readProgress(progress);
    const cpu = await cpuMsOf(process.pid);
    if (at === undefined || cpu === undefined) continue;
    if (!at.isFeeding || at.count !== count) {
      [count, since, cpuSince, slowdown] = [at.count, performance.now(), cpu, undefined];
      continue;
    }
    const [busyMs, lastedMs] = [cpu - cpuSince, performance.now() - since];
    if (busyMs <= HANG_CPU_MS && lastedMs < HANG_MS) continue;
    // The next iteration decides, as the input may end while the machine is measured.
    if (slowdown === undefined) {
      slowdown = await measureProcessorSlowdown();
      continue;
    }
    const isBusy = busyMs > HANG_CPU_MS * slowdown;
    if (!isBusy && lastedMs < HANG_MS * slowdown) continue;
    process.kill("SIGKILL");
    return isBusy
      ? `hang: it kept the processor busy for ${busyMs} ms and more`
      : `hang: it did not end in ${Math.round(lastedMs / 1000)} s`;
  }
  return undefined;
}

/** The processor time of a process in milliseconds (proc_pid_stat(5): utime and stime). */
async function cpuMsOf(pid: number): Promise<number | undefined> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
