import assert from "node:assert/strict";
import { crashersOf, inputsOf, readCorpus } from "./_corpus.ts";
import { fuzzLoop } from "./_fuzz_loop.ts";
import { TARGETS } from "./targets.ts";

/** Enough inputs to see that a target works; `deno task fuzz` searches for defects. */
const EXECUTIONS = 32;

for (const target of TARGETS) {
  Deno.test(`${target.name} accepts or refuses mutated inputs, and those on which it once failed`, async () => {
    const run = await target.open(readCorpus);
    const inputs = await inputsOf(target.name);
    assert.ok(inputs.length > 0, "it has no inputs to begin with");
    const once = await crashersOf(target.name);
    const goesOn = (executions: number) => executions < once.length + EXECUTIONS;
    // Limits of time and memory apply in a fuzzing process only: other tests run in this one.
    const unbounded = { longestMs: Infinity, maximumRss: Infinity };
    const { failure } = await fuzzLoop({ target, run, inputs, once, seed: 1, goesOn, ...unbounded });
    assert.equal(failure, undefined, `${failure?.why}\n${failure?.input.toBase64()}`);
  });
}
