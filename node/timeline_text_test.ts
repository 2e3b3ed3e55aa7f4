import assert from "node:assert/strict";
import fc from "fast-check";
import type { Timeline } from "./timeline.ts";
import { PHASE_OUTCOMES } from "./timeline.ts";
import { durationText, timelineSpan, timelineText } from "./timeline_text.ts";

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
    assert.equal(lines.length, phases.length);
    const bars = lines.map((line) => /[█▓▒░]+/.exec(line)?.[0] ?? "");
    assert.ok(bars.every((bar) => bar.length >= 1 && bar.length <= Math.max(width, 10)));
    const { fromMs, toMs } = timelineSpan({ phases }, nowMs);
    assert.ok(toMs > fromMs);
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
