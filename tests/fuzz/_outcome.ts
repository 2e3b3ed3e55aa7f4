/**
 * What became of one input, and whether that is as it must be: it is read, or refused with a code that stands for the input.
 *
 * @module
 */
import process from "node:process";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { ErrorFamily } from "../../platform/errors.ts";
import { measureProcessorSlowdown } from "../tools/machine_speed.ts";
import type { FuzzRun, FuzzTarget } from "./target.ts";

/** How an input ended. */
export interface Outcome {
  /** Code and sentence without what is the input's own; `accepted` where nothing was thrown. */
  readonly shape: string;
  /** What is wrong with that; nothing where it is as it must be. */
  readonly failure?: string;
}

/** How the time that an input takes is judged. */
export interface TimeBound {
  /** The longest that it may take, milliseconds of processor time of the reference machine. */
  readonly longestMs: number;
  /** Starts to measure processor time; the result gives the milliseconds since then. */
  readonly stopwatch: () => () => number;
  /** Measures how many times slower this machine is than the reference machine. */
  readonly measureSlowdown: () => Promise<number>;
}

/** The longest that one input may take, milliseconds of processor time of the reference machine. */
export const LONGEST_MS = 1000;

/** Bytes of a peer end in one of these; `internal` would be a defect, `system` and `timeout` somebody else's fault. */
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
 * Feeds one input. One that takes too long is fed again, and fails if it takes too long again: code that runs for the first
 * time is not compiled yet.
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

/** Other threads of the process count, too, but an input cannot take longer than the wall clock says. */
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

/** The sentence up to the first thing that may be the input's: numbers, quotes, what is not ASCII. */
function shapeOf({ code, message }: BootstrapError): string {
  return `${code}: ${
    message.slice(0, 4 * LONGEST_SHAPE).replaceAll(/"[^"]*"?|'[^']*'?|[0-9a-f]*\d[0-9a-f]*|[^\x20-\x7e]+/g, "#").slice(
      0,
      LONGEST_SHAPE,
    )
  }`;
}
