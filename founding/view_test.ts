import assert from "node:assert/strict";
import fc from "fast-check";
import { errorOf } from "../attestation/testing/evidence.ts";
import { compareBytes } from "../platform/bytes.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { Card } from "./card.ts";
import { sameEntries } from "./entry.ts";
import type { PaperFounder } from "./testing/cards.ts";
import { cardOf, entriesOf, paperFounder } from "./testing/cards.ts";
import type { ViewTime } from "./view.ts";
import { View } from "./view.ts";

const [self, b, c, d] = await Promise.all([..."abcd"].map((name) => paperFounder(name))) as [
  PaperFounder,
  PaperFounder,
  PaperFounder,
  PaperFounder,
];
const all = entriesOf(self, b, c);
const at = (monotonicMs: number, nowMs = 0): ViewTime => ({ monotonicMs, nowMs });
const instance = (fill: number) => new Uint8Array(16).fill(fill);
const met = (founder: PaperFounder, changes: Partial<Card> = {}) => ({
  entry: founder.entry,
  keyDigest: founder.keyDigest,
  card: cardOf(founder, changes),
});

function viewOf(size = 3): View {
  return new View({ entry: self.entry, keyDigest: self.keyDigest, size });
}

/** A view in which b and c are there and show it. */
function agreedView(): View {
  const view = viewOf();
  view.open(met(b, { view: all }), at(0));
  view.open(met(c, { view: all }), at(0));
  return view;
}

Deno.test("View begins with this machine alone", () => {
  const state = viewOf().state(at(0));
  assert.deepEqual(state.entries, [self.entry]);
  assert.equal(state.isAgreed, false);
  assert.equal(state.summary, "1 of 3 founders");
  assert.equal(viewOf(1).state(at(0)).isAgreed, true);
});

Deno.test("View is agreed when all are there and each card shows the same entries", () => {
  const view = viewOf();
  const stream = view.open(met(b, { view: all }), at(0));
  view.open(met(c), at(0));
  const before = view.state(at(1));
  assert.ok(sameEntries(before.entries, all));
  assert.deepEqual([before.isAgreed, before.differing], [false, ["c"]]);
  const again = view.open(met(c, { view: all }), at(2));
  assert.equal(view.state(at(3)).isAgreed, true);
  view.hear(stream, cardOf(b, { serial: 2n, view: entriesOf(self, b) }), at(4));
  assert.deepEqual(view.state(at(4)).differing, ["b"]);
  assert.ok(again > stream);
});

Deno.test("View loses a founder that says nothing for 30 seconds, and says so", () => {
  const view = agreedView();
  assert.equal(view.state(at(29_999)).present.length, 2);
  const { present, missing, entries, isAgreed, summary } = view.state(at(30_000));
  assert.deepEqual([present.length, isAgreed], [0, false]);
  assert.deepEqual(missing.map(({ entry, reason }) => [entry.name, reason]), [["b", "silent"], ["c", "silent"]]);
  assert.deepEqual(entries, [self.entry]);
  assert.match(summary, /^1 of 3 founders; missing: b \(it said nothing for 30 s\)/);
});

Deno.test("View loses a founder whose stream ends, unless another stream to it is up", () => {
  const view = viewOf();
  const first = view.open(met(b), at(0));
  const second = view.open(met(b), at(1));
  view.close(second, "the peer is gone", at(2));
  assert.equal(view.state(at(3)).present.length, 1);
  view.close(first, "the peer is gone", at(4));
  const { present, missing } = view.state(at(5));
  assert.equal(present.length, 0);
  assert.deepEqual(missing.map(({ why, sinceMs }) => [why, sinceMs]), [["the peer is gone", 4]]);
  view.open(met(b), at(6));
  assert.deepEqual([view.state(at(6)).present.length, view.state(at(6)).missing.length], [1, 0]);
});

Deno.test("View takes the newest stream of a founder: a restart is one founder", () => {
  const view = viewOf();
  view.open(met(b, { state: "meeting" }), at(0));
  view.open(met(b, { state: "pledged", instance: instance(2) }), at(10));
  const { present, conflicts } = view.state(at(11));
  assert.deepEqual(present.map(({ card, sinceMs }) => [card.state, sinceMs]), [["pledged", 10]]);
  assert.deepEqual(conflicts, []);
});

Deno.test("View names a key at two instances that both speak", () => {
  const view = viewOf();
  const first = view.open(met(b), at(0));
  view.open(met(b, { instance: instance(2) }), at(10));
  view.hear(first, cardOf(b, { serial: 2n }), at(11));
  const { conflicts, isAgreed } = view.state(at(12));
  assert.deepEqual([conflicts.map(({ kind }) => kind), isAgreed], [["key"], false]);
  assert.match(conflicts[0]?.message ?? "", /two machines have the key of b \(b\.example:9444\)/);
  assert.deepEqual(view.state(at(30_010)).conflicts.map(({ kind }) => kind), []);
});

Deno.test("View names the own key at another process, as long as it is seen", () => {
  const view = agreedView();
  view.noteOwnKey({ peer: "192.0.2.9", name: "a2", address: "a2.example:9444" }, at(1));
  const { conflicts, isAgreed, summary } = view.state(at(2));
  assert.deepEqual([conflicts.map(({ kind }) => kind), isAgreed], [["own-key"], false]);
  assert.match(summary, /a2 \(a2\.example:9444\), seen at 192\.0\.2\.9, has the key of a: /);
  assert.deepEqual(view.state(at(30_001)).conflicts, []);
});

const shared: readonly (readonly [kind: string, change: Partial<RosterEntry>])[] = [
  ["identity", { identity: b.entry.identity }],
  ["name", { name: b.entry.name, address: "x.example:1" }],
  ["address", { address: b.entry.address }],
];
for (const [kind, change] of shared) {
  Deno.test(`View names two founders that are there with one ${kind}, and forgets it when one is gone`, async () => {
    const view = viewOf();
    const twin = await paperFounder("t", change);
    const other = { ...twin, entry: { ...twin.entry, ...change } };
    view.open(met(b), at(0));
    const stream = view.open(met(other), at(0));
    const { conflicts, isAgreed } = view.state(at(1));
    assert.deepEqual([conflicts.map((one) => one.kind), isAgreed], [[kind], false]);
    view.close(stream, "gone", at(2));
    assert.deepEqual(view.state(at(3)).conflicts, []);
  });
}

Deno.test("View names a founder that shares the own name", async () => {
  const view = viewOf();
  view.open(met(await paperFounder("a", { address: "other.example:1" })), at(0));
  assert.deepEqual(view.state(at(1)).conflicts.map(({ kind }) => kind), ["name"]);
});

Deno.test("View replaces the key of an absent identity", async () => {
  const view = viewOf();
  const stream = view.open(met(b), at(0));
  view.close(stream, "gone", at(1));
  const renewed = await paperFounder("b", { identity: b.entry.identity });
  view.open(met(renewed), at(2));
  const { present, missing, conflicts } = view.state(at(3));
  assert.deepEqual([present.map(({ entry }) => entry), missing, conflicts], [[renewed.entry], [], []]);
});

Deno.test("View keeps out a founder whose clock differs, shows both times, and says it once", () => {
  const view = viewOf();
  const late = BigInt(Date.parse("2026-01-01T00:10:00Z"));
  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  const stream = view.open(met(b, { timeMs: late }), at(0, nowMs));
  const { present, missing, summary } = view.state(at(1, nowMs));
  assert.equal(present.length, 0);
  assert.equal(missing[0]?.reason, "clock");
  assert.match(summary, /2026-01-01T00:10:00\.000Z, and this machine's 2026-01-01T00:00:00\.000Z/);
  view.hear(stream, cardOf(b, { serial: 2n, timeMs: late + 5_000n }), at(5_000, nowMs + 5_000));
  assert.equal(view.state(at(5_001, nowMs + 5_001)).summary, summary);
  view.hear(stream, cardOf(b, { serial: 3n, timeMs: BigInt(nowMs) }), at(6_000, nowMs + 6_000));
  assert.equal(view.state(at(6_001, nowMs + 6_001)).present.length, 1);
});

Deno.test("View counts what is too many", () => {
  const view = agreedView();
  view.open(met(d), at(1));
  const { isAgreed, summary } = view.state(at(2));
  assert.equal(isAgreed, false);
  assert.match(summary, /^4 of 3 founders: switch one off/);
});

Deno.test("View refuses a card that is not newer, of another founder, or with a lock before the own pledge", async () => {
  const view = viewOf();
  const stream = view.open(met(b, { serial: 5n }), at(0));
  const hear = (changes: Partial<Card>) => errorOf(() => view.hear(stream, cardOf(b, changes), at(1)));
  for (const serial of [4n, 5n]) assert.equal((await hear({ serial })).code, "protocol/founder-card");
  for (const change of [{ name: "x" }, { address: "x.example:1" }, { instance: instance(2) }]) {
    assert.equal((await hear({ serial: 6n, ...change })).code, "protocol/founder-card");
  }
  assert.equal((await hear({ serial: 6n, clusterId: new Uint8Array(32) })).code, "refused/founder-lock");
  view.hear(stream, cardOf(b, { serial: 6n }), at(1));
});

Deno.test("View is that of the own pledge from then on, for good", async () => {
  const view = agreedView();
  view.pledge(all);
  view.open(met(d), at(1));
  const { entries, present, isAgreed, missing } = view.state(at(2));
  assert.ok(sameEntries(entries, all));
  assert.deepEqual([present.map(({ entry }) => entry.name).toSorted(), isAgreed, missing], [["b", "c"], true, []]);
  const later = view.state(at(40_000));
  assert.ok(sameEntries(later.entries, all));
  assert.deepEqual([later.isAgreed, later.missing.map(({ entry }) => entry.name).toSorted()], [false, ["b", "c"]]);
  assert.equal((await errorOf(() => view.pledge(entriesOf(self, b)))).code, "internal/argument");
  view.pledge([...all]);
});

Deno.test("View names those to which it pledged and that it has not met since its start", () => {
  const view = viewOf();
  view.pledge(all);
  view.open(met(b, { clusterId: new Uint8Array(32) }), at(0));
  const { missing } = view.state(at(1));
  assert.deepEqual(missing.map(({ entry, reason }) => [entry.name, reason]), [["c", "never-met"]]);
});

Deno.test("View knows which instances it hears", () => {
  const view = viewOf();
  const stream = view.open(met(b), at(0));
  assert.ok(view.isHeard("01".repeat(16), at(1)));
  assert.ok(!view.isHeard("02".repeat(16), at(1)));
  assert.ok(!view.isHeard("01".repeat(16), at(30_000)));
  view.close(stream, "gone", at(2));
  assert.ok(!view.isHeard("01".repeat(16), at(3)));
});

const twin = await paperFounder("b", { identity: b.entry.identity });
const founders = [b, c, d, twin];
type Step = readonly [what: "open" | "hear" | "close" | "wait", who: number, amount: number];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("open" as const, "hear" as const, "hear" as const, "close" as const, "wait" as const),
  fc.nat(3),
  fc.nat(40),
);

Deno.test("View has sorted entries, and agrees only where nothing keeps it from agreeing, whatever happens", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.option(fc.constant(all)), (steps, pledged) => {
    const view = viewOf();
    const streams: { number: number; who: number; serial: bigint }[] = [];
    let nowMs = 0;
    for (const [index, [what, who, amount]] of steps.entries()) {
      const founder = founders[who] ?? b;
      const shown = amount % 2 === 0 ? all : entriesOf(self, founder);
      if (index === 30 && pledged !== null) view.pledge(pledged);
      if (what === "wait") nowMs += amount * 1_000;
      if (what === "open") {
        const number = view.open(met(founder, { view: shown, instance: instance(amount % 3) }), at(nowMs));
        streams.push({ number, who, serial: 1n });
      }
      const stream = streams[amount % Math.max(1, streams.length)];
      if (what === "close" && stream !== undefined) view.close(stream.number, "gone", at(nowMs));
      if (what === "hear" && stream !== undefined) {
        const card = cardOf(founders[stream.who] ?? b, { view: shown, serial: ++stream.serial });
        try {
          view.hear(stream.number, card, at(nowMs));
        } catch {
          view.close(stream.number, "another instance", at(nowMs));
        }
      }
      check(view, at(nowMs));
    }
  }));
});

function check(view: View, time: ViewTime): void {
  const { entries, present, missing, conflicts, isAgreed, size } = view.state(time);
  const keys = present.map(({ keyDigest }) => keyDigest);
  assert.equal(new Set(keys.map(String)).size, keys.length);
  if (view.pledged !== undefined) {
    assert.ok(sameEntries(entries, view.pledged));
    assert.equal(present.length + missing.length + 1, view.pledged.length);
  } else {
    assert.equal(entries.length, present.length + 1);
    assert.ok(present.every(({ entry }) => entries.includes(entry)));
  }
  assert.ok(missing.every(({ entry }) => !present.some((one) => one.entry === entry)));
  const identities = present.map(({ entry }) => entry.identity);
  assert.equal(conflicts.some(({ kind }) => kind === "identity"), new Set(identities).size < identities.length);
  if (!isAgreed) return;
  assert.equal(entries.length, size);
  assert.deepEqual(conflicts, []);
  assert.ok(present.every(({ card }) => sameEntries(card.view, entries)));
  assert.ok(keys.every((key) => compareBytes(key, self.keyDigest) !== 0));
}
