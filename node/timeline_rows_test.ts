import assert from "node:assert/strict";
import fc from "fast-check";
import type { TimelinePhase } from "./timeline.ts";
import { PHASE_OUTCOMES } from "./timeline.ts";
import { durationText, timelineRows } from "./timeline_rows.ts";

const HOUR_MS = 3_600_000;

function phase(name: string, startMs: number, durationMs: number): TimelinePhase {
  return { name, startMs, durationMs, outcome: "succeeded" };
}

Deno.test("timelineRows() has a row for each wait between phases, and says which were between two starts", () => {
  const phases = [phase("detect", 0, 100), phase("preflight", HOUR_MS, 500), phase("detect", 2 * HOUR_MS, 200)];
  const { rows } = timelineRows({ phases }, 0);
  assert.deepEqual(rows.map(({ name, kind, duration }) => [name, kind, duration]), [
    ["detect", "succeeded", "0.1 s"],
    ["(waiting)", "waiting", "60 min 00 s"],
    ["preflight", "succeeded", "0.5 s"],
    ["(between starts)", "waiting", "60 min 00 s"],
    ["detect", "succeeded", "0.2 s"],
  ]);
});

Deno.test("timelineRows() has no row for a pause of less than a second, nor for one that another phase fills", () => {
  const phases = [phase("a", 0, 1_000), phase("b", 1_900, 100), phase("inner", 100, 200)];
  assert.deepEqual(timelineRows({ phases }, 0).rows.map(({ name }) => name), ["a", "b", "inner"]);
});

Deno.test("timelineRows() takes the search for a ticket for waiting, unless it failed", () => {
  const found = [
    phase("detect", 0, 100),
    phase("join-ticket", 100, HOUR_MS),
    phase("kubeadm-join", HOUR_MS + 100, 300),
  ];
  const { rows, place, shortened } = timelineRows({ phases: found }, 0);
  assert.equal(rows[1]?.kind, "waiting");
  assert.deepEqual(shortened, [{ fromMs: 100, toMs: HOUR_MS + 100 }]);
  assert.ok(Math.abs(place(HOUR_MS + 100) - place(100) - 0.25) < 1e-9);
  const failed = { ...phase("join-ticket", 100, HOUR_MS), outcome: "failed", code: "aborted/join" } as const;
  const [row] = timelineRows({ phases: [failed] }, 0).rows;
  assert.deepEqual([row?.kind, row?.note], ["failed", "failed aborted/join"]);
});

Deno.test("timelineRows() draws a timeline that waits little in proportion", () => {
  const { place, shortened } = timelineRows({ phases: [phase("a", 0, 9_000), phase("b", 10_000, 10_000)] }, 0);
  assert.deepEqual(shortened, []);
  assert.equal(place(10_000), 0.5);
});

Deno.test("timelineRows() keeps the order of times, leaves work three quarters, and inverts its scale", () => {
  const some = fc.record({
    name: fc.constantFrom("detect", "join-ticket", "preflight"),
    startMs: fc.nat(100_000_000),
    durationMs: fc.nat(1_000_000),
    outcome: fc.constantFrom(...PHASE_OUTCOMES),
  }, { requiredKeys: ["name", "startMs", "outcome"] });
  const time = fc.nat(101_000_000);
  fc.assert(fc.property(fc.array(some, { minLength: 1, maxLength: 12 }), time, time, (phases, one, other) => {
    const { rows, fromMs, toMs, shortened, place, timeAt } = timelineRows({ phases }, 50_000_000);
    const [early, late] = [Math.min(one, other), Math.max(one, other)];
    assert.ok(toMs > fromMs && place(early) <= place(late));
    assert.ok(place(early) >= -1e-9 && place(late) <= 1 + 1e-9);
    assert.deepEqual([place(fromMs), Math.abs(place(toMs) - 1) < 1e-9], [0, true]);
    const inside = Math.min(Math.max(one, fromMs), toMs);
    assert.ok(Math.abs(timeAt(place(inside)) - inside) <= 1e-6 * (toMs - fromMs) + 1);
    const waiting = shortened.reduce((sum, gap) => sum + place(gap.toMs) - place(gap.fromMs), 0);
    assert.ok(waiting <= 0.25 + 1e-6, String(waiting));
    assert.equal(rows.filter(({ name }) => !name.startsWith("(")).length, phases.length);
  }));
});

Deno.test("durationText() uses minutes when there are any", () => {
  const cases: readonly [number, string][] = [
    [0, "0.0 s"],
    [449, "0.4 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 00 s"],
    [3_725_000, "62 min 05 s"],
  ];
  for (const [ms, text] of cases) assert.equal(durationText(ms), text);
});
