import type { BootstrapError } from "./errors.ts";
import type { Log, LogFields } from "./log.ts";
import { errorFields } from "./log.ts";
import { Recent } from "./recent.ts";

/** The refusals of one kind to one part of the network. */
interface Repeated {
  readonly sinceMs: number;
  count: number;
}

/** How long refusals of one kind to one part of the network are counted after the first, and not written. */
const WINDOW_MS = 60_000;
/** The kinds of refusals and parts of the network that are counted at once. The oldest gives way. */
const MAXIMUM_COUNTED = 1_024;
const MAXIMUM_TEXT_LENGTH = 160;

/**
 * Writes the refusals of a listener into its log. A peer that has shown who it is gets a whole entry for each. All others
 * can cause as many as they like: their entries are short, and within a minute a part of the network gets one for each
 * code. The next entry says how many were left out.
 */
export class RefusalLog {
  readonly #nowMs: () => number;
  readonly #counted = new Recent<Repeated>({ ageMs: 2 * WINDOW_MS, maximum: MAXIMUM_COUNTED });

  /**
   * Starts with nothing counted.
   *
   * @param nowMs A steady clock, milliseconds.
   */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * Writes a refusal, or counts it.
   *
   * @param event The event's name.
   * @param group The part of the network, from `peerGroup()`.
   * @param isKnown Whether the peer has shown who it is.
   */
  note(
    log: Log,
    event: string,
    error: BootstrapError,
    { group, isKnown, fields = {} }: { readonly group: string; readonly isKnown: boolean; readonly fields?: LogFields },
  ): void {
    if (isKnown) return log.event("warn", event, { ...errorFields(error), ...fields });
    const nowMs = this.#nowMs();
    const key = `${event} ${error.code} ${group}`;
    const before = this.#counted.get(key, nowMs);
    if (before !== undefined && nowMs - before.sinceMs < WINDOW_MS) {
      before.count++;
      return;
    }
    this.#counted.set(key, { sinceMs: nowMs, count: 0 }, nowMs);
    const repeated = before === undefined || before.count === 0 ? {} : { repeated: before.count };
    const short = (text: string) => text.slice(0, MAXIMUM_TEXT_LENGTH);
    // What was seen may be the identity that an operator forgot to list.
    const seen = error.details["seen"] === undefined ? {} : { seen: short(error.details["seen"]) };
    log.event("warn", event, { code: error.code, message: short(error.message), ...seen, ...fields, ...repeated });
  }
}
