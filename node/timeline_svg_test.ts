import assert from "node:assert/strict";
import fc from "fast-check";
import type { Timeline } from "./timeline.ts";
import { timelineSvg } from "./timeline_svg.ts";

const timeline: Timeline = {
  phases: [
    { name: "preflight", startMs: 0, durationMs: 2_000, outcome: "succeeded" },
    { name: '<join> & "wait"', startMs: 2_000, durationMs: 2_000, outcome: "failed", code: "refused/pcr-4" },
  ],
};

Deno.test("timelineSvg() draws a row for each phase, in its place and colour", () => {
  const svg = timelineSvg(timeline, { title: "node-1", nowMs: 4_000 });
  assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  assert.match(svg, /<rect x="240.0" y="80" width="310.0" height="16" rx="2" fill="#2e7d32"\/>/);
  assert.match(svg, /<rect x="550.0" y="104" width="310.0" height="16" rx="2" fill="#c62828"\/>/);
  assert.match(svg, /<title>&lt;join&gt; &amp; &quot;wait&quot; · failed · /);
  assert.match(svg, />2.0 s · failed refused\/pcr-4<\/text>/, "the code can be read without a pointer");
});

Deno.test("timelineSvg() draws a long wait apart, on grey ground, and shorter than it was", () => {
  const phases = [
    { name: "detect", startMs: 0, durationMs: 3_000, outcome: "succeeded" },
    { name: "preflight", startMs: 3_603_000, durationMs: 3_000, outcome: "succeeded" },
  ] as const;
  const svg = timelineSvg({ phases }, { title: "node-1", nowMs: 0 });
  // The work has three quarters of 620, one half of that each.
  assert.match(svg, /<rect x="240.0" y="80" width="232.5" height="16" rx="2" fill="#2e7d32"\/>/);
  assert.match(svg, /<rect x="472.5" y="104" width="155.0" height="16" rx="2" fill="#cfd8dc"\/>/);
  assert.match(svg, /<rect x="472.5" y="68" width="155.0" height="\d+" fill="#f5f5f5"\/>/);
  assert.match(svg, />60 min 06 s<\/text>/, "the scale ends with the true time");
});

Deno.test("timelineSvg() is well-formed whatever the names are", () => {
  const name = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
  fc.assert(fc.property(fc.array(name, { maxLength: 5 }), name, (names, title) => {
    const phases = names.map((name, index) => ({ name, startMs: index, outcome: "running" as const }));
    const svg = timelineSvg({ phases }, { title, nowMs: 10 });
    const open: string[] = [];
    for (const [tag, close, element = "", self] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
      if (close === "/") assert.equal(open.pop(), element, tag);
      else if (self !== "/") open.push(element);
    }
    assert.deepEqual(open, []);
    const text = svg.replaceAll(/<\/?[a-z]+(?: [a-z1-9A-Z-]+="[^"<>&]*")*\/?>/g, "");
    assert.ok(!/[<>]/.test(text) && !/&(?!(?:amp|lt|gt|quot);)/.test(text));
    assert.ok(svg.isWellFormed());
  }));
});
