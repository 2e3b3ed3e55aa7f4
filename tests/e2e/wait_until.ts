import { Patience, type PatienceClock } from "./patience.ts";

/** How long {@linkcode waitUntil} waits, and for what. */
export interface WaitOptions {
  /** What is waited for, as a noun: it goes into the error. */
  readonly what: string;
  /** Milliseconds from now, in the time of the quiet reference machine; see {@linkcode Patience}. */
  readonly deadlineMs: number;
  /** Milliseconds between two checks; 100 unless given. */
  readonly everyMs?: number;
  /** For tests of waiting itself. */
  readonly clock?: PatienceClock;
}

/** What {@linkcode waitUntil} hands to a check. */
export interface Look {
  /** Notes what the check has seen instead of what is waited for: it goes into the error. */
  saw(text: string): void;
  /** How many times slower this machine is now than the quiet reference machine: for timeouts of commands. */
  readonly slowdown: number;
}

/** A deadline has passed. */
export class Overdue extends Error {
  override readonly name = "Overdue";
}

const longestSeen = 400;

/**
 * Calls `check` until it gives something else than undefined or false, and returns that.
 *
 * @throws what `check` throws, and {@linkcode Overdue} when the deadline has passed: with what was waited for, how long, and
 * what was seen last.
 */
export async function waitUntil<T>(
  options: WaitOptions,
  check: (look: Look) => Promise<T | undefined | false>,
): Promise<T> {
  const { what, deadlineMs, everyMs = 100, clock } = options;
  await using patience = new Patience(deadlineMs, clock);
  let last = "";
  const look: Look = {
    saw: (text) => void (last = text),
    get slowdown() {
      return patience.slowdown;
    },
  };
  for (;;) {
    const seen = await check(look);
    if (seen !== undefined && seen !== false) return seen;
    if (patience.isOver()) throw new Overdue(`Cannot go on: no ${what} ${patience.text}${seenLast(last)}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** The end of an error's sentence about what was seen last, or nothing; it steers no terminal and fits a few lines. */
export function seenLast(text: string): string {
  const shown = text.trim().replaceAll(/\p{Cc}+/gu, " ").slice(0, longestSeen);
  return shown === "" ? "" : `; seen last: ${shown}`;
}
