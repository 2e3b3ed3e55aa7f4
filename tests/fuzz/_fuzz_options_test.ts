import assert from "node:assert/strict";
import { WrongArguments } from "../tools/arguments.ts";
import { fuzzOptions } from "./_fuzz_options.ts";
import { TARGETS } from "./targets.ts";

Deno.test("fuzzOptions() shares two minutes among all targets by default", () => {
  const { targets, seconds, jobs, inputs, replay } = fuzzOptions([]);
  assert.deepEqual(targets, TARGETS.map(({ name }) => name));
  assert.deepEqual([seconds, jobs, inputs, replay], [120 / TARGETS.length, 1, [], undefined]);
});

Deno.test("fuzzOptions() reads every option", () => {
  const [one, two] = TARGETS.map(({ name }) => name);
  assert.ok(one !== undefined && two !== undefined);
  const args = ["--target", one, "--target", two, "--seconds", "10", "--jobs", "4", "--seed", "7"];
  const rest = ["--inputs", "a", "--inputs", "b", "--replay", "file"];
  assert.deepEqual(fuzzOptions([...args, ...rest]), {
    ...{ targets: [one, two], seconds: 20, jobs: 4, seed: 7, inputs: ["a", "b"], replay: "file" },
  });
});

Deno.test("fuzzOptions() names the option that is wrong", () => {
  for (const option of ["seconds", "jobs", "seed"]) {
    assert.throws(() => fuzzOptions([`--${option}=-1`]), (error) => {
      return error instanceof WrongArguments && error.message.includes(`--${option}`);
    });
  }
  assert.throws(() => fuzzOptions(["--target", "nothing"]), WrongArguments);
});
