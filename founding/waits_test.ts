import { deepEqual, equal } from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { Waits } from "./waits.ts";
import { Observed } from "./_seen_times.ts";
import type { DecisionView } from "./decision.ts";

Deno.test("Waits says every 30 s what is waited for, from whom, since when, and the last error", () => {
  let nowMs = 0;
  const clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs };
  const lines: string[] = [];
  const waits = new Waits({ clock, lineMs: 30_000, onWaiting: (line) => void lines.push(line) });
  waits.set("pledging", "pledges", ["b"]);
  for (nowMs = 10_000; nowMs <= 70_000; nowMs += 10_000) {
    waits.set("pledging", "pledges", ["b"], new BootstrapError("timeout/etcd", "no answer"));
  }
  const line = "Founding waits for pledges from b since 1970-01-01T00:00:00.000Z; last error: no answer";
  deepEqual(lines, [line, line]);
  waits.set("deciding", "a cluster", []);
  deepEqual([waits.now?.since, waits.now?.lastError], [new Date(80_000), undefined]);
});

const KEY = "11".repeat(32);
const DECISION = { epoch: 1, identity: KEY, key: KEY, clusterId: `sha256:${KEY}`, revision: 7n };
const VIEW: DecisionView = { raftTerm: 1n, decision: DECISION, alive: new Set(), members: new Set() };

Deno.test("Observed counts an absence on end only: not across another decision, a return, or a gap between reads", () => {
  const observed = new Observed(15_000);
  const absentAt = (nowMs: number, view: Partial<DecisionView> = {}) =>
    observed.take({ view: { ...VIEW, ...view }, nowMs, leads: false, founders: 3 }).absentMs;
  deepEqual([absentAt(0), absentAt(10_000), absentAt(20_000)], [0, 10_000, 20_000]);
  deepEqual([absentAt(21_000, { alive: new Set([KEY]) }), absentAt(22_000), absentAt(23_000)], [0, 0, 1_000]);
  equal(absentAt(24_000, { decision: { ...DECISION, revision: 8n } }), 0);
  equal(absentAt(25_000), 0);
  equal(absentAt(40_000), 0, "in 15 s a founder can come back and go again");
  equal(absentAt(41_000, { decision: { ...DECISION, resigned: "why" } }), 0);
});

Deno.test("Observed knows how long a node stays without reads, too", () => {
  const observed = new Observed(15_000);
  deepEqual(observed.stays(true, 0), { memberMs: 0, allMembersMs: 0 });
  const view = { ...VIEW, members: new Set([KEY]) };
  observed.take({ view, nowMs: 1_000, leads: false, founders: 1 });
  observed.stays(true, 1_000);
  deepEqual(observed.stays(true, 5_000), { memberMs: 5_000, allMembersMs: 4_000 });
});
