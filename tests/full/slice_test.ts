import assert from "node:assert/strict";
import fc from "fast-check";
import { inSlice, readSlice, sliceOfThisRun, takeSlice, WHOLE } from "./slice.ts";

Deno.test("takeSlice() puts each item into exactly one slice", () => {
  fc.assert(fc.property(fc.uniqueArray(fc.integer()), fc.integer({ min: 1, max: 9 }), (items, of) => {
    const slices = Array.from({ length: of }, (_, index) => takeSlice(items, { number: index + 1, of }));
    assert.deepEqual(slices.flat().toSorted((a, b) => a - b), items.toSorted((a, b) => a - b));
    const lengths = slices.map(({ length }) => length);
    assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1);
  }));
});

Deno.test("inSlice() is true for exactly one slice, whatever else is in the list", () => {
  fc.assert(fc.property(fc.string(), fc.integer({ min: 1, max: 9 }), (key, of) => {
    const having = Array.from({ length: of }, (_, index) => inSlice(key, { number: index + 1, of }));
    assert.equal(having.filter((has) => has).length, 1);
  }));
});

Deno.test("readSlice() refuses a text that is not a slice, and names it", () => {
  assert.deepEqual(readSlice("2/4"), { number: 2, of: 4 });
  for (const text of ["", "2", "0/4", "5/4", "2/0", "-1/4", "2/4/6", "1e0/4", "a/b"]) {
    assert.throws(() => readSlice(text), new RegExp(`"${text}"`));
  }
});

Deno.test("sliceOfThisRun() is the whole list when no slice was requested", () => {
  assert.deepEqual(sliceOfThisRun([]), WHOLE);
  assert.deepEqual(sliceOfThisRun(["--slice", "3/4"]), { number: 3, of: 4 });
  assert.deepEqual(sliceOfThisRun(["--slice=1/2"]), { number: 1, of: 2 });
});
