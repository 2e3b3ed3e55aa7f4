/**
 * The view: which founders this machine has verified, which of them are there, and what keeps them from pledging.
 *
 * It does no I/O, and is told the time.
 *
 * @module
 */
import { compareBytes, equalBytes, hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MAXIMUM_CLOCK_SKEW_MS } from "../platform/clock_skew.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { Card } from "./card.ts";
import { sameEntries, sameEntry } from "./entry.ts";
import type { MetFounder, OwnKeySeen } from "./founder.ts";
import type { Conflict } from "./_view_conflicts.ts";
import { conflictsOf } from "./_view_conflicts.ts";

export type { Conflict, ConflictKind } from "./_view_conflicts.ts";

/** A founder whose last card is older is absent, milliseconds. */
export const CARD_LIFETIME_MS = 30_000;
/** More founders than a cluster may have: those that are too many, and those that were replaced. */
const MAXIMUM_REMEMBERED = 64;

/** This machine in its own view. */
export interface ViewSelf {
  readonly entry: RosterEntry;
  /** SHA-256 of the SPKI of F, 32 bytes. */
  readonly keyDigest: Uint8Array;
  /** How many founders the trust part wants, 1 to 7. */
  readonly size: number;
}

/** The time, by both clocks. */
export interface ViewTime {
  /** A steady clock, milliseconds. */
  readonly monotonicMs: number;
  /** The time of day, milliseconds since 1970. */
  readonly nowMs: number;
}

/** A founder that is there. */
export interface PresentFounder {
  readonly entry: RosterEntry;
  /** SHA-256 of the SPKI of F, 32 bytes. */
  readonly keyDigest: Uint8Array;
  /** Its latest card. */
  readonly card: Card;
  /** Since when it is heard without a gap, by the steady clock, milliseconds. */
  readonly sinceMs: number;
}

/** A founder that was verified and does not count now. */
export interface MissingFounder {
  readonly entry: RosterEntry;
  readonly reason: "gone" | "silent" | "clock" | "never-met";
  /** For people, as a clause. */
  readonly why: string;
  /** Since when, by the steady clock, milliseconds. */
  readonly sinceMs: number;
}

/** The view at one moment. */
export interface ViewState {
  /** How many founders there must be. */
  readonly size: number;
  /** The view's entries, sorted by their keys' digests: after the own pledge, those of the pledge. */
  readonly entries: readonly RosterEntry[];
  /** The other founders that are there. */
  readonly present: readonly PresentFounder[];
  /** Founders that were met, or pledged to, and are not there. */
  readonly missing: readonly MissingFounder[];
  /** What nobody may pledge with. */
  readonly conflicts: readonly Conflict[];
  /** The names of present founders whose cards show another view than this one. */
  readonly differing: readonly string[];
  /** Whether there are exactly `size` founders, without conflict, and each present one's card shows this very view. */
  readonly isAgreed: boolean;
  /** For people: how many of how many there are, who is missing and why. */
  readonly summary: string;
}

interface Stream {
  readonly founder: MetFounder;
  readonly openedMs: number;
  card: Card;
  heardMs: number;
  /** The difference of the clocks when the last card came, milliseconds. */
  skewMs: number;
  /** Its clock and the own one, when the last card came; while they differ too much, when they began to. */
  clocks: readonly [theirs: bigint, own: number];
  end?: { readonly why: string; readonly atMs: number };
}

/** What is known of the founders. */
export class View {
  readonly #self: ViewSelf;
  /** By stream, the oldest first. Ended streams stay until their key or its machine is heard again. */
  readonly #streams = new Map<number, Stream>();
  #opened = 0;
  #pledged: readonly RosterEntry[] | undefined;
  #ownKeySeen: { readonly seen: OwnKeySeen; readonly atMs: number } | undefined;

  /** Starts with this machine alone. */
  constructor(self: ViewSelf) {
    this.#self = self;
  }

  /** The entries to which this machine has pledged. */
  get pledged(): readonly RosterEntry[] | undefined {
    return this.#pledged;
  }

  /** Fixes the view to the entries of the own pledge, for good. They are sorted by their keys' digests. */
  pledge(entries: readonly RosterEntry[]): void {
    if (this.#pledged !== undefined && !sameEntries(this.#pledged, entries)) {
      throw new BootstrapError("internal/argument", "A founder has pledged to two rosters");
    }
    this.#pledged = [...entries];
  }

  /** Adds a stream to a founder that was verified wholly. Returns its number. */
  open(founder: MetFounder, time: ViewTime): number {
    const { card } = founder;
    const at = time.monotonicMs;
    const stream: Stream = { founder, openedMs: at, heardMs: at, card, ...skewOf(card, time) };
    for (const [number, { end, founder: { keyDigest, entry } }] of this.#streams) {
      const isReplaced = equalBytes(keyDigest, founder.keyDigest) || entry.identity === founder.entry.identity;
      if (end !== undefined && isReplaced) this.#streams.delete(number);
    }
    this.#streams.set(++this.#opened, stream);
    for (const [number, { end }] of this.#streams) {
      if (this.#streams.size <= MAXIMUM_REMEMBERED) break;
      if (end !== undefined) this.#streams.delete(number);
    }
    return this.#opened;
  }

  /**
   * Takes a card that came on a stream.
   *
   * @throws {BootstrapError} `protocol/founder-card` for a card that is not newer than the last one, or of another
   *   founder; `refused/founder-lock` for a founder that got a lock although this machine has not pledged with it.
   */
  hear(number: number, card: Card, time: ViewTime): void {
    const stream = this.#streams.get(number);
    if (stream === undefined || stream.end !== undefined) return;
    checkNext(stream.card, card);
    if (card.clusterId.length > 0 && !this.#isPledged(stream.founder.entry)) {
      throw new BootstrapError("refused/founder-lock", `${card.name} has got a lock, and is no founder any more`);
    }
    const skew = skewOf(card, time);
    // The times that are shown stay while the clocks differ: a line that changes with every card says nothing new.
    const clocks = isSkewed(stream) && isSkewed(skew) ? stream.clocks : skew.clocks;
    Object.assign(stream, { card, heardMs: time.monotonicMs, ...skew, clocks });
  }

  /** Notes that a stream has ended, and why: a clause. */
  close(number: number, why: string, { monotonicMs }: ViewTime): void {
    const stream = this.#streams.get(number);
    if (stream === undefined || stream.end !== undefined) return;
    stream.end = { why, atMs: monotonicMs };
    // Another stream to the same founder speaks for it.
    const { keyDigest } = stream.founder;
    const isHeard = [...this.#streams.values()].some((one) =>
      one.end === undefined && equalBytes(one.founder.keyDigest, keyDigest)
    );
    if (isHeard) this.#streams.delete(number);
  }

  /** Notes that another process shows the own F. */
  noteOwnKey(seen: OwnKeySeen, { monotonicMs }: ViewTime): void {
    this.#ownKeySeen = { seen, atMs: monotonicMs };
  }

  /** Whether a founder of that instance, hexadecimal, is heard now. */
  isHeard(instance: string, time: ViewTime): boolean {
    return [...this.#streams.values()].some((stream) =>
      isUp(stream, time.monotonicMs) && hex(stream.card.instance) === instance
    );
  }

  /** The view at a moment. */
  state(time: ViewTime): ViewState {
    const { size, entry, keyDigest } = this.#self;
    const { present, missing, twice } = this.#look(time);
    const own = { entry, keyDigest };
    const sorted = [own, ...present].sort((a, b) => compareBytes(a.keyDigest, b.keyDigest));
    const entries = this.#pledged ?? sorted.map((one) => one.entry);
    const ownKey = this.#ownKeySeen;
    const isFresh = ownKey !== undefined && time.monotonicMs - ownKey.atMs < CARD_LIFETIME_MS;
    const conflicts = conflictsOf([entry, ...present.map((one) => one.entry)], {
      twice,
      ...(isFresh ? { ownKey: ownKey.seen } : {}),
    });
    const differing = present.filter(({ card }) => !sameEntries(card.view, entries)).map(({ card }) => card.name);
    const isAgreed = sorted.length === size && conflicts.length === 0 && differing.length === 0 &&
      sameEntries(entries, sorted.map((one) => one.entry));
    const counted = { size, entries, present, missing, conflicts, differing, isAgreed };
    return { ...counted, summary: summaryOf(counted, sorted.length) };
  }

  #isPledged(entry: RosterEntry): boolean {
    return this.#pledged?.some((one) => sameEntry(one, entry)) ?? false;
  }

  #look({ monotonicMs }: ViewTime) {
    const present: PresentFounder[] = [];
    const missing: MissingFounder[] = [];
    const twice: RosterEntry[] = [];
    for (const streams of this.#byKey()) {
      const up = streams.filter((stream) => isUp(stream, monotonicMs));
      const newest = up.at(-1) ?? streams.at(-1);
      if (newest === undefined) continue;
      const { founder: { entry, keyDigest }, card } = newest;
      if (this.#pledged !== undefined && !this.#isPledged(entry)) continue;
      const why = whyMissing(newest, monotonicMs);
      if (why === undefined) present.push({ entry, keyDigest, card, sinceMs: heardSince(up, card.instance) });
      else missing.push({ entry, ...why });
      const isOther = (stream: Stream) => !equalBytes(stream.card.instance, card.instance);
      // An earlier instance that still speaks after a later one has begun is no restart.
      if (up.some((stream) => isOther(stream) && stream.heardMs > newest.openedMs)) twice.push(entry);
    }
    const isKnown = (entry: RosterEntry) =>
      sameEntry(entry, this.#self.entry) || [...present, ...missing].some((one) => sameEntry(one.entry, entry));
    for (const entry of this.#pledged ?? []) {
      if (!isKnown(entry)) {
        missing.push({ entry, reason: "never-met", why: "it was not met since the start", sinceMs: 0 });
      }
    }
    return { present, missing: this.#pledged === undefined ? withoutReplaced(missing, present) : missing, twice };
  }

  #byKey(): readonly (readonly Stream[])[] {
    const groups = new Map<string, Stream[]>();
    for (const stream of this.#streams.values()) {
      const key = hex(stream.founder.keyDigest);
      groups.set(key, [...groups.get(key) ?? [], stream]);
    }
    return [...groups.values()];
  }
}

/** Another key of an absent identity replaces it. */
function withoutReplaced(missing: readonly MissingFounder[], present: readonly PresentFounder[]): MissingFounder[] {
  return missing.filter(({ entry, reason }) =>
    reason === "clock" || !present.some((one) => one.entry.identity === entry.identity)
  );
}

function isUp({ end, heardMs }: Stream, monotonicMs: number): boolean {
  return end === undefined && monotonicMs - heardMs < CARD_LIFETIME_MS;
}

function heardSince(up: readonly Stream[], instance: Uint8Array): number {
  const own = up.filter(({ card }) => equalBytes(card.instance, instance));
  return Math.min(...own.map(({ openedMs }) => openedMs));
}

function whyMissing(
  { end, heardMs, skewMs, clocks }: Stream,
  monotonicMs: number,
): Pick<MissingFounder, "reason" | "why" | "sinceMs"> | undefined {
  if (end !== undefined) return { reason: "gone", why: end.why, sinceMs: end.atMs };
  if (monotonicMs - heardMs >= CARD_LIFETIME_MS) {
    return { reason: "silent", why: `it said nothing for ${CARD_LIFETIME_MS / 1000} s`, sinceMs: heardMs };
  }
  if (!isSkewed({ skewMs })) return undefined;
  const [theirs, own] = [Number(clocks[0]), clocks[1]].map((ms) => new Date(ms).toISOString());
  return { reason: "clock", why: `its clock says ${theirs}, and this machine's ${own}`, sinceMs: heardMs };
}

function isSkewed({ skewMs }: Pick<Stream, "skewMs">): boolean {
  return skewMs > MAXIMUM_CLOCK_SKEW_MS;
}

function skewOf({ timeMs }: Card, { nowMs }: ViewTime): Pick<Stream, "skewMs" | "clocks"> {
  return { skewMs: Math.abs(Number(timeMs - BigInt(Math.round(nowMs)))), clocks: [timeMs, nowMs] };
}

function checkNext(last: Card, next: Card): void {
  const isSame = last.name === next.name && last.address === next.address && equalBytes(last.instance, next.instance);
  if (!isSame) throw new BootstrapError("protocol/founder-card", `A card of ${last.name} is of another founder`);
  if (next.serial > last.serial) return;
  throw new BootstrapError("protocol/founder-card", `A card of ${last.name} is not newer than the last one`);
}

function summaryOf(
  { size, present, missing, conflicts, differing }: Omit<ViewState, "summary">,
  count: number,
): string {
  const parts = [`${count} of ${size} founders`];
  if (count > size) parts[0] = `${count} of ${size} founders: switch ${count - size === 1 ? "one" : count - size} off`;
  if (present.length > 0) parts.push(`there: ${present.map(({ entry }) => entry.name).join(", ")}`);
  if (missing.length > 0) {
    parts.push(`missing: ${missing.map(({ entry, why }) => `${entry.name} (${why})`).join(", ")}`);
  }
  if (differing.length > 0) parts.push(`with another view: ${differing.join(", ")}`);
  return [...parts, ...conflicts.map(({ message }) => message)].join("; ");
}
