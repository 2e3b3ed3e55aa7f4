/**
 * Judges the outcome of one input. The input must be accepted, or refused with a code that stands for bad input.
 *
 * @module
 */
import process from "node:process";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { ErrorFamily } from "../../platform/errors.ts";
import { measureProcessorSlowdown } from "../tools/machine_speed.ts";
import type { FuzzRun, FuzzTarget } from "./target.ts";

/** The outcome of an input. */
export interface Outcome {
  /** The code and sentence without the parts that come from the input; `accepted` if nothing was thrown. */
  readonly shape: string;
  /** Why the outcome is a failure; undefined if it is not. */
  readonly failure?: string;
}

/** How the time that an input takes is judged. */
export interface TimeBound {
  /** The longest time that an input may take, in milliseconds of processor time of the reference machine. */
  readonly longestMs: number;
  /** Starts measuring processor time. The returned function gives the milliseconds since then. */
  readonly stopwatch: () => () => number;
  /** Measures how many times slower this machine is than the reference machine. */
  readonly measureSlowdown: () => Promise<number>;
}

/** The longest time that one input may take, in milliseconds of processor time of the reference machine. */
export const LONGEST_MS = 1000;

/**
 * A peer's bytes may end in an error of these families. `internal` would be a defect; `system` and `timeout` would not
 * be the input's fault.
 */
const FAMILIES: readonly ErrorFamily[] = [
  "malformed",
  "refused",
  "unauthorized",
  "protocol",
  "usage",
  "precondition",
  "conflict",
];
const LONGEST_SHAPE = 90;

/**
 * Feeds one input. An input that takes too long is fed again, and fails only if it takes too long again, because code
 * that runs for the first time is not compiled yet.
 */
export async function outcomeOf(
  run: FuzzRun,
  target: Pick<FuzzTarget, "mayEndIn">,
  input: Bytes,
  {
    longestMs = LONGEST_MS,
    stopwatch = processorStopwatch,
    measureSlowdown = measureProcessorSlowdown,
  }: Partial<TimeBound> = {},
): Promise<Outcome> {
  const feed = async () => {
    const elapsedMs = stopwatch();
    const ended = await endOf(run, target, input);
    return { ended, ms: elapsedMs() };
  };
  const first = await feed();
  if (first.ended.failure !== undefined || first.ms < longestMs) return first.ended;
  const boundMs = longestMs * await measureSlowdown();
  if (first.ms < boundMs) return first.ended;
  const second = await feed();
  if (second.ended.failure !== undefined || second.ms < boundMs) return second.ended;
  const [ms, mostMs] = [Math.round(second.ms), Math.round(boundMs)];
  return { ...second.ended, failure: `slow: it took ${ms} ms of processor time, and ${mostMs} ms are the most here` };
}

/** Other threads of the process count as well, but an input cannot take longer than the wall clock shows. */
function processorStopwatch(): () => number {
  const [start, usage] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(usage);
    return Math.min(performance.now() - start, (user + system) / 1000);
  };
}

async function endOf(run: FuzzRun, { mayEndIn = [] }: Pick<FuzzTarget, "mayEndIn">, input: Bytes): Promise<Outcome> {
  try {
    await run(input);
    return { shape: "accepted" };
  } catch (error) {
    if (!(error instanceof BootstrapError)) return { shape: "thrown", failure: thrownText(error) };
    const family = errorFamily(error.code);
    const isPeers = (FAMILIES.includes(family) || mayEndIn.includes(family)) && error.code.startsWith(`${family}/`);
    const shape = shapeOf(error);
    return isPeers ? { shape } : { shape, failure: `${error.code} is no code for an input: ${thrownText(error)}` };
  }
}

function thrownText(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : `no Error was thrown: ${String(error)}`;
}

/**
 * The sentence up to the first part that may come from the input: a number, a quotation, or a character outside ASCII.
 */
function shapeOf({ code, message }: BootstrapError): string {
  return `${code}: ${
    message.slice(0, 4 * LONGEST_SHAPE).replaceAll(/"[^"]*"?|'[^']*'?|[0-9a-f]*\d[0-9a-f]*|[^\x20-\x7e]+/g, "#").slice(
      0,
      LONGEST_SHAPE,
    )
  }`;
}
