import assert from "node:assert/strict";
import { crashersOf, inputsOf, readCorpus } from "./_corpus.ts";
import { fuzzLoop } from "./_fuzz_loop.ts";
import { outcomeOf } from "./_outcome.ts";
import { TARGETS } from "./targets.ts";

/** Enough to see that a target works; `deno task fuzz` is for finding something. */
const EXECUTIONS = 32;

for (const target of TARGETS) {
  Deno.test(`${target.name} reads or refuses what it is fed, and what it once failed with`, async () => {
    const run = await target.open(readCorpus);
    for (const input of await crashersOf(target.name)) {
      assert.equal((await outcomeOf(run, target, input)).failure, undefined);
    }
    const inputs = await inputsOf(target.name);
    assert.ok(inputs.length > 0, "it has no inputs to begin with");
    const goesOn = (executions: number) => executions < EXECUTIONS;
    const { failure } = await fuzzLoop({ target, run, inputs, seed: 1, goesOn });
    assert.equal(failure, undefined, `${failure?.why}\n${failure?.input.toBase64()}`);
  });
}
