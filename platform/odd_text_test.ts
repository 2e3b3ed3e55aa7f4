import assert from "node:assert/strict";
import fc from "fast-check";
import { oddCharacter, unseenIn } from "./odd_text.ts";

Deno.test("oddCharacter() names what is not seen, and what looks like another character", () => {
  const rows: readonly (readonly [text: string, said: string])[] = [
    ["a\u00a0b", "its character 2 is a no-break space (U+00A0)"],
    ["\u200ba", "its character 1 is a zero-width space (U+200B)"],
    ["😀\u2060", "its character 2 is a word joiner (U+2060)"],
    ["n\u043ede", 'its character 2 is "\u043e", which is no ASCII (U+043E)'],
    ["\u201ca\u201d", "its character 1 is a curly quote (U+201C)"],
    ["a\u2013b", "its character 2 is a dash (U+2013)"],
    ["\uff11", 'its character 1 is "\uff11", which is no ASCII (U+FF11)'],
    ["a\u202eb", 'its character 2 is "\u202e", which is no ASCII (U+202E)'],
  ];
  for (const [text, said] of rows) assert.equal(oddCharacter(text), said);
  for (const text of ["", "a b", "bücher", "東京", "a\tb", "naïve 😀"]) {
    assert.equal(oddCharacter(text), undefined, text);
  }
});

Deno.test("oddCharacter() finds nothing in ASCII", () => {
  fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (text) => assert.equal(oddCharacter(text), undefined)));
});

Deno.test("unseenIn() says one thing that was not said before, and shows no value", () => {
  const said = (value: unknown, text = "", more: { source?: string; key?: string } = {}) =>
    unseenIn(text, { value, ...more });
  assert.equal(said("${X}"), "a variable was not filled in");
  assert.equal(said("${X}", 'a variable was not filled in: "${X}"'), undefined);
  assert.equal(said(null, "expected string", { key: "a" }), "write a value, or leave the key out");
  assert.equal(said(null, "expected a mapping", { key: "a" }), "indent the keys that belong to it, or leave it out");
  assert.equal(said(null, "", {}), undefined);
  assert.equal(said(1.1, "", { source: "1.10" }), 'YAML reads the text "1.10" without quotes as that number');
  assert.equal(said(1.1, "", { source: "1.1" }), undefined);
  assert.equal(said(Infinity, "", { source: "1e999" }), undefined);
  assert.equal(said(1, "", { key: "a\u200b" }), "its character 2 is a zero-width space (U+200B)");
});
