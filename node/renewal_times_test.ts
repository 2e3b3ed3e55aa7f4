import assert from "node:assert/strict";
import fc from "fast-check";
import { commonValidity, isReattestationDue, nextLook, renewableFrom, renewalUrgency } from "./renewal_times.ts";

const HOUR_MS = 3_600_000;
const start = new Date("2026-11-01T00:00:00Z");
const after = (hours: number) => new Date(start.getTime() + hours * HOUR_MS);
const validity = { notBefore: start, notAfter: after(3) };

Deno.test("renewalUrgency() lets a node rest for a third of the life, and hurry from two thirds on", () => {
  const cases = [[-1, "early"], [0, "early"], [0.99, "early"], [1, "due"], [1.99, "due"], [2, "late"], [3, "late"], [
    9_600,
    "late",
  ]] as const;
  for (const [hours, urgency] of cases) assert.equal(renewalUrgency(validity, after(hours)), urgency, String(hours));
});

Deno.test("renewalUrgency() is late when there are no certificates", () => {
  assert.equal(renewalUrgency(undefined, start), "late");
  assert.equal(commonValidity([]), undefined);
});

Deno.test("commonValidity() is the time in which all certificates are valid", () => {
  const other = { notBefore: after(1), notAfter: after(9) };
  assert.deepEqual(commonValidity([validity, other]), { notBefore: after(1), notAfter: after(3) });
  assert.deepEqual(commonValidity([validity]), validity);
});

const randoms = fc.double({ min: 0, max: 1, noNaN: true });

Deno.test("isReattestationDue() holds after each boot, each day, and where the time on record cannot be", () => {
  const cases: readonly (readonly [attested: number | undefined, booted: number, now: number, isDue: boolean])[] = [
    ...[[undefined, 0, 1, true], [2, 0, 3, false], [2, 0, 25.9, false], [2, 0, 26, true]] as const,
    ...[[2, 2.5, 3, true], [4, 0, 3, true]] as const,
  ];
  for (const [attested, booted, now, isDue] of cases) {
    const time = attested === undefined ? undefined : after(attested);
    assert.equal(isReattestationDue(time, after(booted), after(now)), isDue, String([attested, booted, now]));
  }
});

Deno.test("nextLook() spreads nodes, and leaves each far more than the time of one renewal", () => {
  assert.deepEqual(renewableFrom(validity), after(1));
  fc.assert(fc.property(randoms, (random) => {
    const look = nextLook(validity, after(0.9), random);
    assert.ok(look >= after(1) && look <= after(1.25));
    assert.equal(renewalUrgency(validity, look), "due");
  }));
});

Deno.test("nextLook() is never further ahead than an hour, nor all nodes' at the same time", () => {
  const long = { notBefore: start, notAfter: after(7 * 24) };
  fc.assert(fc.property(randoms, fc.integer({ min: 0, max: 200 }), (random, hours) => {
    assert.ok(nextLook(long, after(hours), random) <= after(hours + 1));
  }));
  assert.ok(nextLook(long, start, 0) > nextLook(long, start, 1));
  assert.ok(nextLook(long, start, 1) > start);
});
