import assert from "node:assert/strict";
import fc from "fast-check";
import { copyOf } from "../platform/bytes.ts";
import { assertRefused } from "./testing/certificates.ts";
import { pemLabel, readPem, writePem } from "./pem.ts";

const block = writePem("CERTIFICATE", new Uint8Array(100));

Deno.test("readPem() reads any bytes that writePem() wrote", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
    const text = writePem("PUBLIC KEY", bytes);
    assert.ok(text.split("\n").every((line) => line.length <= 64));
    assert.deepEqual(readPem(text, "PUBLIC KEY", "test"), copyOf(bytes));
    assert.deepEqual(readPem(text.replaceAll("\n", "\r\n"), "PUBLIC KEY", "test"), copyOf(bytes));
  }));
});

Deno.test("pemLabel() reads the label", () => assert.equal(pemLabel(block, "test"), "CERTIFICATE"));

for (
  const [name, text] of [
    ["it is empty", ""],
    ["it has another label", block.replaceAll("CERTIFICATE", "PRIVATE KEY")],
    ["its labels differ", block.replace("END CERTIFICATE", "END PUBLIC KEY")],
    ["there are two blocks", block + block],
    ["something comes before it", `Certificate:\n${block}`],
    ["something follows it", `${block}x`],
    ["it has a header", block.replace("\n", "\nProc-Type: 4,ENCRYPTED\n\n")],
    ["it has a space in its base64", block.replace("AAAA", "AA A")],
    ["its padding is missing", block.replaceAll("=\n", "\n")],
    ["it is cut off", block.slice(0, -10)],
    ["it is empty inside", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"],
    ["it is very long", writePem("CERTIFICATE", new Uint8Array(1 << 16))],
  ] as const
) {
  Deno.test(`readPem() refuses a text when ${name}`, async () => {
    const error = await assertRefused(() => readPem(text, "CERTIFICATE", "the field"), /^malformed\/(pem|base64)$/);
    assert.match(error.message, /"the field"/);
    assert.ok(!error.message.includes("AAAA"), "the error shows the content of the block");
  });
}

Deno.test("readPem() reads lines of any length, whatever white space ends them or stands around the block", () => {
  const content = readPem(block, "CERTIFICATE", "the field");
  const oneLine = block.replaceAll(/([A-Za-z0-9+/=])\n(?!-)/g, "$1");
  const shapes: Readonly<Record<string, string>> = {
    "one line": oneLine,
    "lines of 70": oneLine.replaceAll(/[A-Za-z0-9+/=]{70}/g, "$&\n"),
    "lines of one": block.replaceAll(/^(?!-)(.*)$/gm, (line) => [...line].join("\n")),
    "blanks behind": block.replaceAll("\n", " \t\n"),
    "CRLF": block.replaceAll("\n", "\r\n"),
    "empty lines": block.replaceAll("\n", "\n\n"),
    "a byte order mark and blank lines": `\ufeff\n\n${block}\n\n`,
  };
  for (const [name, text] of Object.entries(shapes)) {
    assert.deepEqual(readPem(text, "CERTIFICATE", "it"), content, name);
  }
});

Deno.test("readPem() says what is wrong with a text that is not one block", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["ssh-ed25519 AAAA", /it is no PEM/],
    [block + block, /it has 2 blocks of PEM, and one is wanted/],
    [block.slice(0, -20), /no line -----END/],
    [block.replace("\n", "\nProc-Type: 4,ENCRYPTED\n\n"), /headers.*PKCS#8/],
    [`${block}x`, /before it or behind it/],
  ];
  for (const [text, message] of cases) {
    assert.match((await assertRefused(() => readPem(text, "CERTIFICATE", "it"), "malformed/pem")).message, message);
  }
});
