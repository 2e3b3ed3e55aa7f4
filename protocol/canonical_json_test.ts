/** The first two vectors are those of RFC 8785, 3.2.2 to 3.2.3. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readYaml } from "../platform/yaml.ts";
import { canonicalJson } from "./canonical_json.ts";

const VECTORS: readonly (readonly [input: string, expected: string])[] = [
  [
    String.raw`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`,
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  ],
  [
    String.raw`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`,
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign",' +
    '"😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  ],
  // RFC 8785, appendix B.
  [
    "[-0, 5e-324, -5e-324, 1.7976931348623157e308, 9007199254740992, 295147905179352830000, 9.999999999999997e22," +
    "1e23, 1.0000000000000001e23, 999999999999999700000, 1e21, 9.999999999999997e-7, 0.000001]",
    "[0,5e-324,-5e-324,1.7976931348623157e+308,9007199254740992,295147905179352830000,9.999999999999997e+22," +
    "1e+23,1.0000000000000001e+23,999999999999999700000,1e+21,9.999999999999997e-7,0.000001]",
  ],
  ["[]", "[]"],
  ["{}", "{}"],
];

Deno.test("canonicalJson() gives the vectors of RFC 8785", () => {
  for (const [input, expected] of VECTORS) assert.equal(canonicalJson(JSON.parse(input), "it"), expected);
});

Deno.test("canonicalJson() does not depend on the order of keys, and its text is read as the same value by JSON and YAML", () => {
  const value = fc.jsonValue({ depthSize: "small", noUnicodeString: false });
  const reversed = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(reversed);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(Object.entries(one).reverse().map(([key, inner]) => [key, reversed(inner)]));
  };
  const isOverlooked = (text: string) => /"(?:__proto__|prototype|constructor)":/.test(text);
  fc.assert(fc.property(value, (one) => {
    const text = JSON.stringify(one);
    fc.pre(text.isWellFormed() && !/\\ud[89a-f]/i.test(text) && !isOverlooked(text));
    const canonical = canonicalJson(JSON.parse(text), "it");
    assert.equal(canonicalJson(reversed(JSON.parse(text)), "it"), canonical);
    assert.equal(canonicalJson(JSON.parse(canonical), "it"), canonical);
    assert.equal(canonicalJson(readYaml(canonical), "it"), canonical);
  }));
});

Deno.test("canonicalJson() refuses what JSON does not have", () => {
  for (const value of [NaN, Infinity, -Infinity, "\ud800", { "\udc00": 1 }, [["\ud83d"]], undefined, () => 1]) {
    assert.throws(() => canonicalJson(value, "the policy"), { code: "malformed/json-value" });
  }
});
