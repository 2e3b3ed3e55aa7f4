import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, utf8 } from "../platform/bytes.ts";
import { assertRefused } from "./testing/certificates.ts";
import { generateKeyPair } from "./keys.ts";
import { operatorKeyLine, readOperatorKey } from "./operator_key.ts";
import { writePem } from "./pem.ts";

/** The key of RFC 8032, 7.1, test 1, and the line that OpenSSH writes for it. */
const SPKI = fromHex(
  "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  "spki",
);
const LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea operator@laptop";

Deno.test("readOperatorKey() reads a line of OpenSSH and PEM as the same key", () => {
  assert.deepEqual(readOperatorKey(LINE, "key"), SPKI);
  assert.deepEqual(readOperatorKey(`  ${LINE}\n`, "key"), SPKI);
  assert.deepEqual(readOperatorKey(LINE.replace(" operator@laptop", ""), "key"), SPKI);
  assert.deepEqual(readOperatorKey(writePem("PUBLIC KEY", SPKI), "key"), SPKI);
});

Deno.test("operatorKeyLine() writes the line of OpenSSH, with and without a comment", () => {
  assert.equal(operatorKeyLine(SPKI, "operator@laptop"), LINE);
  assert.equal(operatorKeyLine(SPKI), LINE.replace(" operator@laptop", ""));
});

Deno.test("readOperatorKey() reads any key that operatorKeyLine() wrote", () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(fc.property(key, fc.string({ unit: "binary-ascii" }), (bytes, comment) => {
    fc.pre(/^[\x20-\x7e]*$/.test(comment));
    const spki = concat(SPKI.subarray(0, 12), bytes);
    assert.deepEqual(readOperatorKey(operatorKeyLine(spki, comment), "key"), spki);
  }));
});

const blob = (...parts: Uint8Array[]) => `ssh-ed25519 ${concat(...parts).toBase64()}`;
const sshName = concat(Uint8Array.of(0, 0, 0, 11), utf8("ssh-ed25519"));
const length32 = Uint8Array.of(0, 0, 0, 32);

for (
  const [name, text] of [
    ["it is empty", ""],
    ["it is a word", "operator"],
    ["there are two lines", `${LINE}\n${LINE}`],
    ["it has options", `restrict ${LINE}`],
    ["its base64 is broken", LINE.replace("AAAA", "AAA*")],
    ["its base64 is not padded", "ssh-ed25519 AAAAC3N"],
    ["its key is short", blob(sshName, Uint8Array.of(0, 0, 0, 31), new Uint8Array(31))],
    ["a byte follows its key", blob(sshName, length32, new Uint8Array(33))],
    ["the type inside differs", blob(Uint8Array.of(0, 0, 0, 11), utf8("ssh-ed25518"), length32, new Uint8Array(32))],
    ["the PEM has another label", writePem("CERTIFICATE", SPKI)],
  ] as const
) {
  Deno.test(`readOperatorKey() refuses a text when ${name}`, async () => {
    await assertRefused(() => readOperatorKey(text, "key"), /^malformed\//);
  });
}

Deno.test("readOperatorKey() refuses a text that is not an operator key", async () => {
  for (const text of ["operator", blob(sshName, length32, new Uint8Array(33))]) {
    await assertRefused(() => readOperatorKey(text, "key"), "malformed/operator-key");
  }
});

Deno.test("readOperatorKey() names the type of a key when it is not Ed25519", async () => {
  const { spki } = await generateKeyPair("p-256");
  for (
    const [text, seen] of [
      ["ssh-rsa AAAAB3NzaC1yc2E= x", "ssh-rsa"],
      ["sk-ssh-ed25519@openssh.com AAAA x", "sk-ssh-ed25519@openssh.com"],
      [writePem("PUBLIC KEY", spki), "p-256"],
    ] as const
  ) {
    assert.equal((await assertRefused(() => readOperatorKey(text, "key"), "refused/key-type")).details.seen, seen);
  }
  await assertRefused(() => operatorKeyLine(spki), "refused/key-type");
});

Deno.test("operatorKeyLine() refuses a comment when it contains a line break", async () => {
  await assertRefused(() => operatorKeyLine(SPKI, "a\nssh-ed25519 AAAA"), "usage/key-comment");
});
