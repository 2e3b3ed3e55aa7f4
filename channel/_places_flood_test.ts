import assert from "node:assert/strict";
import { Room } from "./testing/room.ts";

/** A flood that comes at random: sources that send nothing, or only the first bytes of a handshake. */
interface Flood {
  readonly sources: number;
  /** How many connections all sources open in a second. */
  readonly perSecond: number;
  readonly silent: boolean;
  /** Whether all sources are neighbours of the caller. */
  readonly isNear: boolean;
}

/** A generator of numbers from 0 to 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lets a flood run for some seconds. Then a caller comes. Returns whether it keeps its place until it is trusted. */
function comesThrough(maximum: number, { sources, perSecond, silent, isNear }: Flood, seed: number): boolean {
  const random = randomNumbers(seed);
  const room = new Room(maximum);
  const flood = (fromMs: number, toMs: number) => {
    let nowMs = fromMs;
    for (;;) {
      nowMs += -Math.log(1 - random()) * 1_000 / perSecond;
      if (nowMs >= toMs) return;
      const source = Math.floor(random() * sources);
      const name = `${source}`;
      // A source holds one connection, and comes back when that is gone.
      if (room.places.get(name) !== undefined) continue;
      room.places.closeOverdue(nowMs);
      room.enter(name, isNear ? "caller's" : name, nowMs, { address: name });
      const connection = room.places.get(name);
      if (silent && connection !== undefined) room.places.noteSilence(connection, nowMs);
    }
  };
  const comesMs = 8_000 + Math.floor(8_000 * random());
  flood(0, comesMs);
  if (!room.enter("caller", "caller's", comesMs, { address: "caller" })) return false;
  // Its handshake, and the check of its first message.
  flood(comesMs, comesMs + 110);
  return room.places.get("caller") !== undefined;
}

Deno.test("Places lets a caller through floods that arrive at random", async (t) => {
  const floods: readonly (readonly [string, number, Flood])[] = [
    ["64 silent sources", 32, { sources: 64, perSecond: 1_000, silent: true, isNear: false }],
    ["64 sources that begin a handshake", 32, { sources: 64, perSecond: 1_000, silent: false, isNear: false }],
    ["64 silent neighbours of the caller", 32, { sources: 64, perSecond: 1_000, silent: true, isNear: true }],
    ["2,200 silent sources", 2_048, { sources: 2_200, perSecond: 4_000, silent: true, isNear: false }],
  ];
  for (const [name, maximum, flood] of floods) {
    await t.step(name, () => {
      const tries = maximum > 1_000 ? 3 : 10;
      const seeds = Array.from({ length: tries }, (_, seed) => seed);
      const failed = seeds.filter((seed) => !comesThrough(maximum, flood, seed));
      assert.ok(failed.length <= tries / 10, `seeds ${failed}`);
    });
  }
});
