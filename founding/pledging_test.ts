import { deepEqual, equal, rejects } from "node:assert/strict";
import { silentLog } from "../platform/log.ts";
import type { FoundersSeen, PledgeState } from "./ceremony_parts.ts";
import { makePledge } from "./pledge.ts";
import { fixRoster } from "./pledging.ts";
import { founderFolder } from "./testing/folder.ts";
import { makeFounder } from "./testing/founder.ts";
import { Waits } from "./waits.ts";

const TRUST = new Uint8Array(32);

/** A founder that sees what the script says, one look after the other, and is ready when it says so. */
async function play(script: (looks: number) => Partial<FoundersSeen>, isReady: (asked: number) => boolean) {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name, at) => makeFounder(name, `10.0.0.${at + 1}:9444`)));
  if (a === undefined || b === undefined || c === undefined) throw new Error("no founders");
  await using folder = await founderFolder();
  await using other = await founderFolder();
  const entries = [a.entry, b.entry];
  const { own } = await makePledge(entries, { folder: other.path, keys: b.keys, trustDigest: TRUST, size: 2 });
  const waited: string[] = [];
  const published: PledgeState[] = [];
  let [looks, asked] = [0, 0];
  const clock = { now: () => new Date(0), monotonicMs: () => 0 };
  const waits = new Waits({ clock, lineMs: 0, onWaiting: (_line, { what }) => void waited.push(what) });
  const stop = new AbortController();
  const seen = (): FoundersSeen => {
    const change = script(looks++);
    return { entries, isAgreed: true, hindrances: [], pledges: [own], absent: [], ...change };
  };
  const roster = fixRoster({
    ...{ folder: folder.path, keys: a.keys, trustDigest: TRUST, size: 2, log: silentLog, waits, pollMs: 1, seen },
    publish: (state) => void published.push(state),
    ready: () => Promise.resolve(isReady(asked++)),
    clock: {
      sleep:
        () => (looks > 30 ? stop.abort(new Error("enough")) : undefined,
          stop.signal.throwIfAborted(),
          Promise.resolve()),
    },
  }, stop.signal);
  return { names: (await roster).founders.map(({ name }) => name).toSorted(), waited, published, third: c.entry };
}

Deno.test("fixRoster() pledges when all see the same and this node is ready, and publishes each pledge", async () => {
  const { names, waited, published } = await play(
    (looks) => looks < 1 ? { isAgreed: false } : looks < 2 ? { hindrances: ["the clocks differ"] } : {},
    (asked) => asked > 2,
  );
  deepEqual(names, ["a", "b"]);
  deepEqual(waited, ["all founders to see the same founders", "the clocks differ", "this node to be ready to found"]);
  deepEqual(published.map(({ pledges, isFixed }) => [pledges.length, isFixed]), [[1, false], [2, true], [2, true]]);
});

Deno.test("fixRoster() pledges nothing while founders are missing, or while there are too many", async () => {
  const extra = (await makeFounder("d", "10.0.0.4:9444")).entry;
  const { waited } = await play(
    (looks) => looks < 1 ? { entries: [] } : looks < 2 ? { entries: [extra, extra, extra] } : {},
    () => true,
  );
  equal(waited[0], "2 more of 2 founders; it sees ");
  equal(waited[1], "a founder to be switched off: there are 3 of 2: d, d, d");
});

Deno.test("fixRoster() asks whether this node is ready whatever the others show", async () => {
  const asked: number[] = [];
  const { waited } = await play(
    () => asked.length < 3 ? { hindrances: ["b: no containerd"] } : {},
    (times) => asked.push(times) > 0,
  );
  deepEqual(waited, ["b: no containerd", "b: no containerd"]);
});

Deno.test("fixRoster() waits for the pledge of an absent founder, and names it", async () => {
  await rejects(play(() => ({ pledges: [], absent: ["b"] }), () => true), /enough/);
});
