import assert from "node:assert/strict";
import fc from "fast-check";
import { explore, Packing, type Space, stuckStates } from "./explore.ts";

/** A counter from 0 to 9 that can step up, or fall from 4 to 20, from where nothing leads on. */
const COUNTER: Space<number> = {
  start: 0,
  encode: (state) => state,
  decode: (code) => code,
  steps: (state) => {
    if (state === 20) return [];
    if (state === 4) return [["fall", 20], ["up", 5]];
    return state < 9 ? [["up", state + 1], ["leap", 9]] : [];
  },
  wrong: () => undefined,
};

Deno.test("explore() visits every state that can be reached once", () => {
  const { states, counterexample, graph } = explore(COUNTER);
  assert.equal(states, 11);
  assert.equal(counterexample, undefined);
  assert.deepEqual(graph.codes.toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20]);
});

Deno.test("explore() ends at the nearest state that has something wrong, with the fewest steps to it", () => {
  const wrong = (state: number) => state > 8 ? `${state} is too high` : undefined;
  const { counterexample } = explore({ ...COUNTER, wrong });
  assert.deepEqual(counterexample, { wrong: "9 is too high", steps: ["leap"] });
  const isFallen = (state: number) => state === 20 ? "fell" : undefined;
  const fall = explore({ ...COUNTER, wrong: isFallen }).counterexample;
  assert.deepEqual(fall, { wrong: "fell", steps: ["up", "up", "up", "up", "fall"] });
});

Deno.test("stuckStates() finds the states from which no allowed step leads to a good one", () => {
  const { graph } = explore(COUNTER);
  const stuck = (isGood: (code: number) => boolean, isAllowed: (name: string) => boolean) =>
    stuckStates(graph, isGood, isAllowed).map((index) => graph.codes[index]).toSorted();
  assert.deepEqual(stuck((code) => code === 9, () => true), [20]);
  assert.deepEqual(stuck((code) => code === 9, (name) => name === "leap"), [20, 4]);
});

Deno.test("Packing gives back what it packed", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 17 });
  const lists = sizes.chain((all) =>
    fc.tuple(fc.constant(all), fc.tuple(...all.map((size) => fc.integer({ min: 0, max: size - 1 }))))
  );
  fc.assert(fc.property(lists, ([all, values]) => {
    const packing = new Packing(all);
    assert.deepEqual(packing.unpack(packing.pack(values)), values);
  }));
});

Deno.test("Packing refuses values that it cannot give back", () => {
  assert.throws(() => new Packing([2 ** 30, 2 ** 30]), /so many/);
  for (const value of [-1, 3, NaN]) assert.throws(() => new Packing([3]).pack([value]), /value 0/);
  assert.throws(() => new Packing([3, 3]).pack([1]), /value 1/);
});
