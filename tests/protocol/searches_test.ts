/** The searches that take less than a second; `deno task test:protocol` runs all of them. */
import assert from "node:assert/strict";
import { searchDecision } from "./decision_search.ts";
import { type Search, SEARCHES, searchSurprises } from "./searches.ts";

for (const search of SEARCHES.filter(({ isQuick }) => isQuick)) {
  Deno.test(`${search.name} finds what it must: ${search.why}`, () => {
    assert.deepEqual(searchSurprises(search, search.run()), []);
  });
}

Deno.test("searchDecision() finds two clusters that serve when a join service starts before the complete transaction", () => {
  const { counterexample } = searchDecision({ maximumEpoch: 2, servesAfterRead: true });
  assert.equal(counterexample?.wrong, "two clusters serve");
  assert.equal(counterexample?.steps.filter((name) => name === "serve").length, 2);
});

const search: Search = {
  name: "s_one",
  run: () => assert.fail(),
  expected: { states: 5, wrong: "two", counts: { some: 1 } },
  isQuick: true,
  why: "",
};
const counterexample = { wrong: "two", steps: ["up", "down"] };

Deno.test("searchSurprises() has nothing to say when everything is as expected", () => {
  assert.deepEqual(searchSurprises(search, { states: 5, counterexample, counts: { some: 1 } }), []);
});

Deno.test("searchSurprises() names what is not as expected", () => {
  assert.deepEqual(searchSurprises(search, { states: 6, counts: { other: 2 } }), [
    "s_one: must find two, and found nothing wrong",
    "s_one: must visit 5 states, and visited 6",
    "s_one: some: must be 1 states, and there are 0",
    "s_one: other: must be 0 states, and there are 2",
  ]);
  const expected = { states: 5, counts: { some: 1 } };
  assert.deepEqual(searchSurprises({ ...search, expected }, { states: 5, counterexample, counts: { some: 1 } }), [
    "s_one: must find nothing wrong, and found two after up, down",
  ]);
});
