import assert from "node:assert/strict";
import fc from "fast-check";
import type { Timeline } from "./timeline.ts";
import { PHASE_OUTCOMES } from "./timeline.ts";
import { timelineText } from "./timeline_text.ts";

const timeline: Timeline = {
  phases: [
    { name: "preflight", startMs: 1_000, durationMs: 2_000, outcome: "succeeded" },
    { name: "kubeadm-init", startMs: 3_000, durationMs: 65_400, outcome: "failed", code: "system/command" },
    { name: "wait", startMs: 68_400, outcome: "running" },
    { name: "old", startMs: 2_000, outcome: "interrupted" },
  ],
};

Deno.test("timelineText() aligns names, starts, durations and bars", () => {
  assert.equal(
    timelineText(timeline, { nowMs: 81_000, width: 60 }),
    [
      "preflight          +0.0 s       2.0 s  █",
      "kubeadm-init       +2.0 s  1 min 05 s   ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓  failed system/command",
      "wait          +1 min 07 s      12.6 s                    ▒▒▒  running",
      "old                +1.0 s           ?  ░  interrupted",
      "",
    ].join("\n"),
  );
});

Deno.test("timelineText() says so when no phase has begun", () => {
  assert.equal(timelineText({ phases: [] }, { nowMs: 0 }), "no phase has begun yet\n");
});

Deno.test("timelineText() begins every bar in its column whatever the phases are", () => {
  const phase = fc.record({
    name: fc.stringMatching(/^[a-z-]{1,60}$/),
    startMs: fc.nat(10_000_000),
    durationMs: fc.nat(10_000_000),
    outcome: fc.constantFrom(...PHASE_OUTCOMES),
  }, { requiredKeys: ["name", "startMs", "outcome"] });
  const phases = fc.array(phase, { minLength: 1, maxLength: 20 });
  fc.assert(fc.property(phases, fc.integer({ min: 20, max: 200 }), fc.nat(), (phases, width, nowMs) => {
    const lines = timelineText({ phases }, { nowMs, width }).trimEnd().split("\n");
    const waits = lines.filter((line) => /^\((?:waiting|between starts)\) /.test(line));
    assert.equal(lines.length - waits.length, phases.length);
    const bars = lines.map((line) => /[█▓▒░·]+/.exec(line)?.[0] ?? "");
    assert.ok(bars.every((bar) => bar.length >= 1 && bar.length <= Math.max(width, 10)));
  }));
});

Deno.test("timelineText() gives waiting lines of its own, and leaves three quarters of the width to the work", () => {
  const afterAnHour: Timeline = {
    phases: [
      { name: "detect", startMs: 0, durationMs: 2_000, outcome: "succeeded" },
      { name: "preflight", startMs: 3_602_000, durationMs: 4_000, outcome: "succeeded" },
      { name: "kubeadm-init", startMs: 3_606_000, durationMs: 12_000, outcome: "succeeded" },
    ],
  };
  assert.equal(
    timelineText(afterAnHour, { nowMs: 9_000_000, width: 66 }),
    [
      "detect              +0.0 s        2.0 s  ██",
      "(waiting)           +2.0 s  60 min 00 s    ······",
      "preflight     +60 min 02 s        4.0 s          █████",
      "kubeadm-init  +60 min 06 s       12.0 s               ████████████",
      "",
    ].join("\n"),
  );
});
