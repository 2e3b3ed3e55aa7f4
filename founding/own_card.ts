import { abortable } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { Card, Pledge } from "./card.ts";
import { makeCard } from "./card.ts";
import { sameEntries } from "./entry.ts";

/** The parts of the own card that change. */
export interface CardContents {
  /** A word of small letters and hyphens. */
  readonly state: string;
  /** The cluster ID of the lock, 32 bytes; empty if there is no lock. */
  readonly clusterId: Uint8Array;
  /** What keeps this machine from pledging, as sentences. */
  readonly hindrances: readonly string[];
  /** The pledges over the own roster that are known, in any order. */
  readonly pledges: readonly Pledge[];
}

/** The own card, which is sent at every change, and again and again. */
export class OwnCard {
  readonly #fixed: Pick<Card, "name" | "address" | "instance">;
  readonly #clock: Pick<Clock, "now">;
  #contents: CardContents = { state: "meeting", clusterId: new Uint8Array(), hindrances: [], pledges: [] };
  #view: readonly RosterEntry[];
  #serial = 0n;
  #version = 0;
  #change = Promise.withResolvers<void>();

  /** Makes a card that shows this machine alone. */
  constructor(entry: RosterEntry, instance: Uint8Array, clock: Pick<Clock, "now">) {
    this.#fixed = { name: entry.name, address: entry.address, instance };
    this.#clock = clock;
    this.#view = [entry];
  }

  /** Rises with every change. */
  get version(): number {
    return this.#version;
  }

  /** Changes what the card says of this machine. */
  set(changes: Partial<CardContents>): void {
    const pledges = [...changes.pledges ?? this.#contents.pledges]
      .sort((a, b) => compareBytes(a.keyDigest, b.keyDigest));
    const next: CardContents = { ...this.#contents, ...changes, pledges };
    if (isSame(this.#contents, next)) return;
    this.#contents = next;
    this.#note();
  }

  /** Changes the view that it shows. */
  show(view: readonly RosterEntry[]): void {
    if (sameEntries(this.#view, view)) return;
    this.#view = [...view];
    this.#note();
  }

  /** Makes the next card. */
  next(): Promise<Bytes> {
    const timeMs = BigInt(this.#clock.now().getTime());
    return makeCard({ ...this.#fixed, ...this.#contents, timeMs, serial: ++this.#serial, view: this.#view });
  }

  /** Waits until the card is of another version. */
  async changedSince(version: number, signal: AbortSignal): Promise<void> {
    while (this.#version === version) await abortable(this.#change.promise, signal);
  }

  #note(): void {
    this.#version++;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}

function isSame(one: CardContents, other: CardContents): boolean {
  return one.state === other.state && compareBytes(one.clusterId, other.clusterId) === 0 &&
    one.hindrances.join("\n") === other.hindrances.join("\n") && one.pledges.length === other.pledges.length &&
    one.pledges.every(({ keyDigest, signature }, index) => {
      const pledge = other.pledges[index];
      return pledge !== undefined && compareBytes(keyDigest, pledge.keyDigest) === 0 &&
        compareBytes(signature, pledge.signature) === 0;
    });
}
