import assert from "node:assert/strict";
import { rowOf, surprises, tableRow } from "./matrix.ts";
import { readCpuSeconds, readVerdicts } from "./run_variant.ts";
import type { Outcome, Verdict } from "./run_variant.ts";
import { BOOTSTRAPPER } from "./bootstrapper_variants.ts";
import { FOUNDING } from "./founding_variants.ts";
import { type Model, queriesOf, type Variant } from "./variant.ts";

const variant: Variant = {
  model: BOOTSTRAPPER,
  name: "one",
  flags: ["JOIN", "NOCB"],
  expected: "TF?TT",
  kind: "breaks",
  why: "an attack",
};

function outcomeOf(row: string, cut = false): Outcome {
  const verdicts = new Map(queriesOf(variant).map((query, index) => [query, row[index] as Verdict]));
  return { verdicts, cpuSeconds: 1.6, cut };
}

const QUERIES: readonly (readonly [model: Model, flags: string, queries: string])[] = [
  [BOOTSTRAPPER, "INIT", "Q1 I1 I2 I3 I4 I5"],
  [BOOTSTRAPPER, "JOIN REACH", "Q1 J1 J2 J3 J4 reach-join"],
  [BOOTSTRAPPER, "JOIN RENEW REACH", "Q1 J1 J2 J3 J4 R1 R2 reach-join reach-renew"],
  [BOOTSTRAPPER, "INIT JOIN REACH", "Q1 I1 I2 I3 I4 I5 J1 J2 J3 J4 reach-init reach-join"],
  [FOUNDING, "FOUND ATT", "F1 F2s F2c F3"],
  [FOUNDING, "FOUND TOK REACH", "F1 F2s F2c F3 F4 reach-follow reach-pin"],
  [FOUNDING, "JOIN TOK", "Q1 F5 J2 J3 F4"],
  [FOUNDING, "JOIN ATT KNOWN REACH", "Q1 J3 reach-control-plane reach-worker"],
];

for (const [model, flags, queries] of QUERIES) {
  Deno.test(`queriesOf() names the queries of ${flags} in the order of the model`, () => {
    assert.equal(queriesOf({ model, flags: flags.split(" ") }).join(" "), queries);
  });
}

Deno.test("queriesOf() names only the queries that a variant asks", () => {
  assert.deepEqual(queriesOf({ model: BOOTSTRAPPER, flags: ["JOIN"], asks: ["J4", "J1"] }), ["J1", "J4"]);
});

Deno.test("readVerdicts() reads results in their order, and leaves out what ProVerif says beside them", () => {
  const output = [
    "RESULT not (event(A) && attacker(x)) is true.",
    "A more detailed output of the traces is available with",
    "RESULT inj-event(B(x)) ==> inj-event(C(x)) is false.",
    "RESULT (even event(B(x)) ==> event(C(x)) is false.)",
    "RESULT (but event(B(x)) ==> event(C(x)) is true.)",
    "RESULT event(D(x)) ==> event(E(x)) cannot be proved.",
    "Query not event(F) is false.",
  ].join("\n");
  assert.deepEqual(readVerdicts(output), ["T", "F", "?"]);
  assert.deepEqual(readVerdicts(""), []);
});

Deno.test("readCpuSeconds() reads what the shell's children used", () => {
  assert.equal(readCpuSeconds("0m0.001s 0m0.002s\n2m5.50s 0m0.11s\n"), 125.5);
  assert.equal(readCpuSeconds("0m0.001s 0m0.002s\n1m0,5s\n"), undefined);
  assert.equal(readCpuSeconds(""), undefined);
});

Deno.test("surprises() has nothing to say when every decided verdict is the expected one", () => {
  for (const row of ["TFTTT", "TFFTT", "TF?TT"]) assert.deepEqual(surprises(variant, outcomeOf(row)), []);
});

const WRONG: readonly (readonly [row: string, cut: boolean, says: RegExp])[] = [
  ["FFTTT", false, /^one Q1: must be proved, and it is false$/],
  ["TTTTT", false, /^one J1: must be false, and it is proved$/],
  ["TF??T", false, /^one J3: must be proved, and it is not decided$/],
  ["TF??T", true, /^one J3: must be proved, and there was no time$/],
];

for (const [row, cut, says] of WRONG) {
  Deno.test(`surprises() names the query when ${row} comes${cut ? " in the time there was" : ""}`, () => {
    const [found = "", ...others] = surprises(variant, outcomeOf(row, cut));
    assert.match(found, says);
    assert.deepEqual(others, []);
  });
}

Deno.test("tableRow() leaves queries blank that a variant does not have", () => {
  const outcome = outcomeOf("TF?TT");
  assert.equal(rowOf(outcome), "TF?TT");
  assert.equal(
    tableRow(variant, outcome),
    "| `one` | JOIN NOCB | T |   |   |   |   |   | F | ? | T | T |   |   | 2 | an attack |",
  );
});
