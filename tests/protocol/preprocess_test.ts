import assert from "node:assert/strict";
import fc from "fast-check";
import { flagsOf, preprocess } from "./preprocess.ts";

const NESTED = "a\n#ifdef X\nb\n#ifndef Y\nc\n#else\nd\n#endif\n#else\ne\n#endif\nf";

const CASES: readonly (readonly [flags: readonly string[], kept: string])[] = [
  [[], "aef"],
  [["X"], "abcf"],
  [["Y"], "aef"],
  [["X", "Y"], "abdf"],
];

for (const [flags, kept] of CASES) {
  Deno.test(`preprocess() keeps ${kept} of nested blocks with ${flags.join(" and ") || "no flag"}`, () => {
    const text = preprocess(NESTED, flags);
    assert.equal(text.replaceAll("\n", ""), kept);
    assert.equal(text.split("\n").length, NESTED.split("\n").length);
  });
}

const WRONG: Readonly<Record<string, readonly [text: string, reason: RegExp]>> = {
  "another directive": ["#define X", /line 1/],
  "an else without a block": ["a\n#else", /line 2/],
  "an end without a block": ["#endif", /line 1/],
  "a second else": ["#ifdef X\n#else\n#else\n#endif", /line 3/],
  "a block without an end": ["\n#ifdef X\n", /line 2/],
  "a condition with more than a flag": ["#ifdef X Y\n#endif", /line 1/],
};

for (const [what, [text, reason]] of Object.entries(WRONG)) {
  Deno.test(`preprocess() throws when there is ${what}`, () => {
    assert.throws(() => preprocess(text, []), reason);
  });
}

Deno.test("preprocess() throws when a flag is nowhere in the model", () => {
  assert.throws(() => preprocess(NESTED, ["Z"]), /"Z"/);
  assert.deepEqual([...flagsOf(NESTED)], ["X", "Y"]);
});

Deno.test("preprocess() keeps text without directives as it is", () => {
  fc.assert(fc.property(fc.array(fc.string().filter((line) => !/^#|\n/.test(line))), (lines) => {
    const text = lines.join("\n");
    assert.equal(preprocess(text, []), text);
  }));
});
