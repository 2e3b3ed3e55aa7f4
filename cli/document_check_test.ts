import assert from "node:assert/strict";
import fc from "fast-check";
import { KINDS } from "../attestation/kinds.ts";
import { utf8 } from "../platform/bytes.ts";
import { DOCUMENT_KINDS } from "../platform/document_kinds.ts";
import { checkDocument } from "./document_check.ts";

/** What holds of every file, whatever is in it. */
function checkAny(bytes: Uint8Array): void {
  for (const kind of [undefined, ...DOCUMENT_KINDS]) {
    const { problems, remarks, document, title } = checkDocument("it", bytes, kind, KINDS);
    assert.ok(problems.length > 0 ? document === undefined : title !== undefined);
    const lines = new TextDecoder().decode(bytes).split("\n").length;
    for (const { line = 1, message } of [...problems, ...remarks]) {
      assert.ok(line >= 1 && line <= lines && message !== "", `${line} of ${lines}: ${message}`);
    }
  }
}

const examples = await Promise.all(
  (await Array.fromAsync(Deno.readDir(new URL("../deploy", import.meta.url)))).map(({ name }) => name)
    .filter((name) => name.endsWith(".example.yaml"))
    .map((name) => Deno.readFile(new URL(`../deploy/${name}`, import.meta.url))),
);

Deno.test("checkDocument() finds nothing in the examples, whose kinds it recognises", () => {
  for (const bytes of examples) {
    const { problems, document } = checkDocument("it", bytes, undefined, KINDS);
    assert.deepEqual(problems, []);
    assert.notEqual(document, undefined);
  }
});

Deno.test("checkDocument() throws nothing, and places what it finds, whatever a file is", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), checkAny));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => checkAny(utf8(text))));
  fc.assert(fc.property(fc.json(), (text) => checkAny(utf8(text))));
});

Deno.test("checkDocument() throws nothing when a byte of a document is changed, or its end is missing", () => {
  const bytes = fc.constantFrom(...examples).chain((example) =>
    fc.record({ at: fc.nat(example.length - 1), byte: fc.nat(255), isCut: fc.boolean() }).map(({ at, byte, isCut }) =>
      isCut ? example.slice(0, at) : example.with(at, byte)
    )
  );
  fc.assert(fc.property(bytes, checkAny), { numRuns: 150 });
});
