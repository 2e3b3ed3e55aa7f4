import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { utf8 } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";
import { readJson } from "./json.ts";

const error = (reason: string, key: string, cause?: unknown) =>
  new BootstrapError("malformed/der", `Cannot read the test: ${reason}`, { cause, details: { key } });
const schema = v.strictObject({ a: v.number(), b: v.exactOptional(v.array(v.strictObject({ c: v.string() }))) });
const form = { schema, maximumBytes: 100, error };
const anything = { schema: v.unknown(), maximumBytes: 1 << 20, error };

Deno.test("readJson() returns the schema's output, from bytes and from text", () => {
  assert.deepEqual(readJson('{"a": 1, "b": [{"c": "x"}, {"c": "y"}]}', form), { a: 1, b: [{ c: "x" }, { c: "y" }] });
  assert.deepEqual(readJson(utf8('{"a": 1}'), form), { a: 1 });
});

Deno.test("readJson() names the key, the expected and the seen value", () => {
  const cases: readonly (readonly [string | Uint8Array, string, string])[] = [
    ["{", "it is not JSON", ""],
    ["", "it is not JSON", ""],
    [Uint8Array.of(0x22, 0xff, 0x22), "it is not a text in UTF-8", ""],
    [Uint8Array.of(0, 1, 2), "it is not a text in UTF-8", ""],
    [`{"a": ${"1".repeat(100)}}`, "it is larger than 100 bytes", ""],
    [`"${"é".repeat(60)}"`, "it is larger than 100 bytes", ""],
    ["5", "it has no keys: it is a number", ""],
    ['{"a": "x"}', 'a: expected number, seen "x"', "a"],
    ['{"b": []}', "a is missing", "a"],
    ['{"a": 1, "b": [{"c": "x"}, {"c": true}]}', "b[1].c: expected string, seen true", "b[1].c"],
    ['{"a": 1, "B": []}', 'B is no key here; the nearest valid one is "b"', "B"],
    ['{"a": 1, "a": 1}', 'its key "a" is there twice', "a"],
    ['{"a": 1, "\\u0061": 1}', 'its key "a" is there twice', "a"],
    ['{"a": 1, "b": [{"c": "x", "c" : "y"}]}', 'its key "c" is there twice', "c"],
  ];
  for (const [input, reason, key] of cases) {
    assert.throws(() => readJson(input, form), (thrown: unknown) => {
      assert.ok(thrown instanceof BootstrapError);
      assert.deepEqual([thrown.message, thrown.details["key"]], [`Cannot read the test: ${reason}`, key]);
      return true;
    });
  }
});

Deno.test("readJson() takes the same key in two objects, and texts that look like keys", () => {
  for (const text of ['[{"a":1},{"a":1}]', '{"a":{"a":{"a":1}},"b":{"a":1}}', '{"a":"\\"a\\":1,\\"a\\":{","b":"}"}']) {
    assert.deepEqual(readJson(text, anything), JSON.parse(text));
  }
});

Deno.test("readJson() reads what JSON.stringify() writes, and no text that JSON.parse() refuses", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2), (value, space) => {
    const text = JSON.stringify(value, null, space);
    assert.deepEqual(readJson(text, anything), JSON.parse(text));
  }));
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ a1') }), (text) => {
    try {
      assert.deepEqual(readJson(text, anything), JSON.parse(text));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/der", String(error));
    }
  }));
});

Deno.test("readJson() reads megabytes of one string, of keys and of escapes", () => {
  const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`key ${i}`, i]));
  for (const value of ["x".repeat(8_000_000), '"'.repeat(4_000_000), keys]) {
    assert.ok(readJson(JSON.stringify(value), { ...anything, maximumBytes: 1 << 24 }) !== undefined);
  }
});
