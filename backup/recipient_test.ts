import assert from "node:assert/strict";
import * as fc from "fast-check";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { base64, concat, fromHex } from "../platform/bytes.ts";
import {
  createRecipientKeys,
  MAXIMUM_RECIPIENTS,
  readRecipient,
  readRecipientKeyPem,
  readRecipients,
  recipientKeyPem,
  recipientText,
} from "./recipient.ts";

const WRONG = { code: "usage/backup-recipient" };

Deno.test("readRecipient() reads what recipientText() writes, and refuses every other text", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
    assert.deepEqual(readRecipient(` ${recipientText(key)}\n`, "line"), new Uint8Array(key));
  }));
  fc.assert(fc.property(fc.string(), (text) => assert.throws(() => readRecipient(text, "line"), WRONG)));
  const ed25519 = concat(fromHex("302a300506032b6570032100", "prefix"), new Uint8Array(32));
  for (const spki of [ed25519, new Uint8Array(44), new Uint8Array(43)]) {
    assert.throws(() => readRecipient(base64(spki), "line"), WRONG);
  }
});

Deno.test("readRecipients() takes one key a line, each once, and names the line that is wrong", async () => {
  const [one, other] = [await createRecipientKeys(), await createRecipientKeys()];
  const lines = [
    "# alice",
    recipientText(one.publicKey),
    "",
    recipientText(other.publicKey),
    recipientText(one.publicKey),
  ];
  assert.deepEqual(readRecipients(lines.join("\n"), "file"), [one.publicKey, other.publicKey]);
  assert.throws(() => readRecipients([...lines, "ssh-ed25519 AAAA"].join("\n"), "file"), /file, line 6/);
  assert.throws(() => readRecipients("# nobody\n", "file"), WRONG);
  const many = Array.from(
    { length: MAXIMUM_RECIPIENTS + 1 },
    (_, index) => recipientText(new Uint8Array(32).fill(index)),
  );
  assert.throws(() => readRecipients(many.join("\n"), "file"), WRONG);
});

Deno.test("readRecipientKeyPem() reads a key with its passphrase, and no key of another type", async () => {
  const keys = await createRecipientKeys();
  for (const passphrase of [undefined, "correct horse"]) {
    const pem = await recipientKeyPem(keys, passphrase);
    assert.deepEqual((await readRecipientKeyPem(pem, "key", passphrase)).publicKey, keys.publicKey);
  }
  const pem = await recipientKeyPem(keys, "correct horse");
  await assert.rejects(readRecipientKeyPem(pem, "key", "wrong"), { code: "usage/passphrase" });
  await assert.rejects(readRecipientKeyPem(pem, "key"), { code: "usage/passphrase" });
  const operator = await privateKeyPem(await generateKeyPair("ed25519"));
  await assert.rejects(readRecipientKeyPem(operator, "key"), { code: "malformed/sealing-key" });
});
