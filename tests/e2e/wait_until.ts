import { Patience, type PatienceClock } from "./patience.ts";

/** How long {@linkcode waitUntil} waits, and for what. */
export interface WaitOptions {
  /** A noun for the awaited event, which becomes part of the error. */
  readonly what: string;
  /** Milliseconds from now in the time of the quiet reference machine; see {@linkcode Patience}. */
  readonly deadlineMs: number;
  /** Milliseconds between two checks; 100 by default. */
  readonly everyMs?: number;
  /** Replaces the real clock in tests. */
  readonly clock?: PatienceClock;
}

/** What {@linkcode waitUntil} passes to a check. */
export interface Look {
  /** Records what the check saw instead of the awaited event; the error includes it. */
  saw(text: string): void;
  /**
   * How many times slower this machine is now than the quiet reference machine; it scales the timeouts of commands.
   */
  readonly slowdown: number;
}

/** A deadline has passed. */
export class Overdue extends Error {
  override readonly name = "Overdue";
}

const longestSeen = 400;

/**
 * Calls `check` until it returns something other than undefined or false, and returns that.
 *
 * @throws what `check` throws, and {@linkcode Overdue} when the deadline has passed; it says what was waited for, how
 * long, and what was seen last.
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

/**
 * The end of an error's sentence: what was seen last, or nothing. It contains no terminal control characters and fits
 * into a few lines.
 */
export function seenLast(text: string): string {
  const shown = text.trim().replaceAll(/\p{Cc}+/gu, " ").slice(0, longestSeen);
  return shown === "" ? "" : `; seen last: ${shown}`;
}
