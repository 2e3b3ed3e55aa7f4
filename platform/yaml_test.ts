import assert from "node:assert/strict";
import fc from "fast-check";
import { documentsIn, readYaml, readYamlDocument } from "./yaml.ts";

Deno.test("readYaml() returns the value of a document", () => {
  assert.deepEqual(readYaml('a: 1\nb: [x, "2"]\nc: {d: null}\n'), { a: 1, b: ["x", "2"], c: { d: null } });
  assert.equal(readYaml(""), null);
});

Deno.test("readYaml() refuses a key that a mapping has twice, as text or as a number, however deep", () => {
  for (const text of ["a: 1\na: 2", 'x:\n  - 4: 1\n    "4": 2', "{a: {b: 1, c: 2, b: 3}}"]) {
    assert.throws(
      () => readYaml(text),
      /^Error: Map keys must be unique, and one is there twice: "[ab4]" \(first at line \d+\), at line \d+$/,
    );
  }
  assert.deepEqual(readYaml("- a: 1\n- a: 2"), [{ a: 1 }, { a: 2 }]);
});

Deno.test("readYaml() refuses keys that are lists or mappings, without converting them to text", () => {
  for (const text of ["[a]: 1", "{a: 1}: 2", "? - a\n: 1", "? ".repeat(500)]) {
    assert.throws(() => readYaml(text), /^Error: a key is a list, a mapping or an alias, at line 1$/);
  }
});

Deno.test("readYaml() says where a document is wrong", () => {
  assert.throws(() => readYaml("a: 1\nb: [1"), /at line 2, column \d+$/);
  assert.throws(() => readYaml('a: "b" "c"'), /at line 1, column 8$/);
});

Deno.test("readYaml() refuses aliases, tags, a second document and JavaScript's own names", () => {
  for (const text of ["a: &x 1\nb: *x", "a: !x 1", "a: 1\n---\nb: 2", "__proto__: 1", "a: {constructor: 1}"]) {
    assert.throws(() => readYaml(text), Error, text);
  }
});

Deno.test("readYaml() reads JSON as JSON.parse() does", () => {
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
  const keys = fc.stringMatching(/^[a-z]{1,8}$/).filter((key) => key !== "constructor" && key !== "prototype");
  fc.assert(fc.property(fc.dictionary(keys, fc.array(scalar)), (value) => {
    assert.deepEqual(readYaml(JSON.stringify(value)), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("documentsIn() cuts a text at its separators, and leaves out what is only comments", () => {
  const parts = (text: string) => documentsIn(text).map(({ text, line }) => [line, text.trim()]);
  assert.deepEqual(parts("a: 1\n---\nb: 2\n"), [[1, "a: 1"], [2, "b: 2"]]);
  assert.deepEqual(parts("%YAML 1.2\n---\n# c\n--- d: 3\n---\n"), [[4, "d: 3"]]);
  assert.deepEqual(parts("a: |\n  ---\n----\n"), [[1, "a: |\n  ---\n----"]]);
  assert.deepEqual(parts(""), []);
});

Deno.test("readYamlDocument() tells lines of keys and how scalars are written", () => {
  const { lineOf, sourceOf } = readYamlDocument("a:\n  - b: 1.10\n    c: 'x'\n");
  assert.deepEqual([["a"], ["a", 0], ["a", 0, "c"], ["a", 0, "none"], ["none"], []].map(lineOf), [
    1,
    2,
    3,
    2,
    undefined,
    undefined,
  ]);
  assert.deepEqual([["a", 0, "b"], ["a", 0, "c"], ["a"], ["none", 3]].map(sourceOf), [
    "1.10",
    "x",
    undefined,
    undefined,
  ]);
});
