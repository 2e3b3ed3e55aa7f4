import assert from "node:assert/strict";
import { BootstrapError } from "./errors.ts";
import { createLog } from "./log.ts";
import { RefusalLog } from "./refusal_log.ts";

function start() {
  const lines: string[] = [];
  const log = createLog({ now: () => new Date(0) }, (line) => lines.push(line));
  const world = { nowMs: 0, lines, events: () => lines.splice(0).map((line) => JSON.parse(line)) };
  const refusals = new RefusalLog(() => world.nowMs);
  const checks = Array.from({ length: 24 }, (_, index) => {
    return { check: `pcr-${index}`, expected: "a".repeat(64), seen: "b".repeat(64), message: "another value" };
  });
  const error = new BootstrapError("refused/pcr-4", "PCR 4 is not allowed".padEnd(1_000), { checks, next: "Look" });
  const note = (group: string, isKnown = false) =>
    refusals.note(log, "join-refused", error, { group, isKnown, fields: { peer: `${group}.1:7` } });
  return { ...world, world, note };
}

Deno.test("RefusalLog writes one short line for a stranger's refusals of a minute, and counts the others", () => {
  const { world, lines, note } = start();
  for (let index = 0; index < 1_000; index++) note("192.0.2");
  assert.ok(lines.length === 1 && (lines[0]?.length ?? 0) < 400, `${lines.join("").length} bytes for 1,000 refusals`);
  world.nowMs = 60_000;
  note("192.0.2");
  const [, second] = lines.map((line) => JSON.parse(line));
  assert.deepEqual([second.code, second.peer, second.repeated, second.checks], [
    "refused/pcr-4",
    "192.0.2.1:7",
    999,
    undefined,
  ]);
});

Deno.test("RefusalLog writes each part of the network apart, and remembers a thousand", () => {
  const { lines, note } = start();
  for (let index = 0; index < 2_000; index++) note(`${index}`);
  note("1999");
  assert.equal(lines.length, 2_000);
  note("0");
  assert.equal(lines.length, 2_001, "it was forgotten");
});

Deno.test("RefusalLog writes everything about each refusal of a peer that is known", () => {
  const { events, note } = start();
  note("192.0.2", true);
  note("192.0.2", true);
  assert.deepEqual(events().map(({ checks, next }) => [checks.length, next]), [[24, "Look"], [24, "Look"]]);
});
