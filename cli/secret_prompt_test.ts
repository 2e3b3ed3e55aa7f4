import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, copyOf, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readSecretLine } from "./secret_prompt.ts";

function typed(...chunks: readonly Uint8Array[]): () => Promise<Uint8Array | null> {
  const left = chunks.map(copyOf);
  return () => Promise.resolve(left.shift() ?? null);
}

Deno.test("readSecretLine() returns the line however its bytes arrive", async () => {
  const line = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !/\p{Cc}/u.test(text));
  await fc.assert(fc.asyncProperty(line, fc.constantFrom("\r", "\n"), fc.array(fc.nat(60)), async (text, end, cuts) => {
    const bytes = utf8(text + end);
    const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
    const chunks = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
    assert.equal(await readSecretLine(typed(...chunks)), text);
  }));
});

Deno.test("readSecretLine() erases a character with backspace and all with Ctrl-U", async () => {
  assert.equal(await readSecretLine(typed(utf8("aä€\x7f\x7f\x08b\x7fc\r"))), "c");
  assert.equal(await readSecretLine(typed(utf8("\x7f\x7fok\r"))), "ok");
  assert.equal(await readSecretLine(typed(utf8("wrong\x15right\r"))), "right");
});

Deno.test("readSecretLine() throws when the person aborts or the input ends", async () => {
  for (const end of ["secret\x03", "secret\x04", "secret"]) {
    await assert.rejects(readSecretLine(typed(utf8(end))), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "aborted/prompt");
      return !error.message.includes("secret");
    });
  }
});

Deno.test("readSecretLine() refuses a line that is too long or not UTF-8", async () => {
  await assert.rejects(readSecretLine(typed(new Uint8Array(2000).fill(0x61))), { code: "usage/passphrase" });
  await assert.rejects(readSecretLine(typed(concat(Uint8Array.of(0xff), utf8("\r")))), { code: "malformed/utf8" });
});
