import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { concat, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readOpensshKey } from "./_openssh_key.ts";
import { generateKeyPair, readPrivateKeyPem } from "./keys.ts";
import { writePem } from "./pem.ts";
import { assertRefused, bitFlips } from "./testing/certificates.ts";
import { type OpensshForm, opensshKeyOf } from "./testing/openssh_key.ts";

const keys = await generateKeyPair("ed25519");

const pemOf = async (form?: OpensshForm) => writePem("OPENSSH PRIVATE KEY", await opensshKeyOf(keys, form));

Deno.test("readPrivateKeyPem() reads an Ed25519 key as OpenSSH writes it", async () => {
  const lines = (await pemOf()).replaceAll(/([A-Za-z0-9+/=])\n(?!-)/g, "$1").replaceAll(/[A-Za-z0-9+/=]{70}/g, "$&\n");
  const read = await readPrivateKeyPem(lines, "key");
  assert.deepEqual([read.type, read.spki], ["ed25519", keys.spki]);
  const signature = await crypto.subtle.sign("Ed25519", read.privateKey, utf8("x"));
  const publicKey = await crypto.subtle.importKey("spki", keys.spki, "Ed25519", false, ["verify"]);
  assert.ok(await crypto.subtle.verify("Ed25519", publicKey, signature, utf8("x")));
});

Deno.test("readPrivateKeyPem() says of an encrypted key, and of another type, what it is and what helps", async () => {
  const encrypted = await assertRefused(
    async () => readPrivateKeyPem(await pemOf({ cipher: "aes256-ctr" }), "key"),
    "malformed/private-key",
  );
  assert.match(`${encrypted.message} ${encrypted.next}`, /encrypted OpenSSH private key.*keygen.*ssh-keygen -p/);
  const withPassphrase = await assertRefused(
    async () => readPrivateKeyPem(await pemOf({ cipher: "aes256-ctr" }), "key", "a passphrase"),
    "malformed/private-key",
  );
  assert.equal(withPassphrase.message, encrypted.message);
  const other = await assertRefused(
    async () => readPrivateKeyPem(await pemOf({ type: "ssh-rsa" }), "key"),
    "refused/key-type",
  );
  assert.match(other.message, /of type ssh-rsa: it must be Ed25519/);
  await assertRefused(async () => readPrivateKeyPem(await pemOf(), "key", "a passphrase"), "usage/passphrase");
  const wrong: readonly OpensshForm[] = [
    { count: 2 },
    { checks: [1, 2] },
    { publicKey: new Uint8Array(32) },
    { padding: Uint8Array.of(1, 3) },
    { padding: new Uint8Array(8) },
    { trailing: new Uint8Array(1) },
  ];
  for (const form of wrong) {
    await assertRefused(async () => readPrivateKeyPem(await pemOf(form), "key"), "malformed/private-key");
  }
});

Deno.test("readOpensshKey() wipes each copy of the seed except the one that it returns", async () => {
  const seed = readOpensshKey(await opensshKeyOf(keys), "key").toHex().slice(32, 96);
  const original = Uint8Array.prototype.fill;
  for (const form of [{}, { publicKey: new Uint8Array(32) }, { padding: Uint8Array.of(1, 3) }]) {
    const blob = await opensshKeyOf(keys, form);
    let wiped = 0;
    Uint8Array.prototype.fill = function (this: Uint8Array<ArrayBuffer>, ...args: Parameters<typeof original>) {
      if (args[0] === 0 && this.toHex().includes(seed)) wiped++;
      return original.apply(this, args);
    };
    try {
      readOpensshKey(blob, "key");
    } catch (error) {
      assert.ok(error instanceof BootstrapError);
    } finally {
      Uint8Array.prototype.fill = original;
    }
    // The section with the private key, and the private key.
    assert.equal(wiped, 2, JSON.stringify(form));
  }
});

Deno.test("readOpensshKey() reads no other key from changed bytes, and its errors never show it", async () => {
  const blob = await opensshKeyOf(keys);
  const pkcs8 = readOpensshKey(blob, "key");
  const seed = pkcs8.slice(16, 48);
  const secrets = [seed.toHex(), seed.toBase64()];
  for (const { flipped, at } of bitFlips(blob)) {
    try {
      const read = readOpensshKey(flipped, "key");
      // A changed seed does not belong to its public key, which readPrivateKeyPem() finds out.
      if (!read.every((octet, index) => octet === pkcs8[index])) {
        await assertRefused(
          () => readPrivateKeyPem(writePem("OPENSSH PRIVATE KEY", flipped), "key"),
          "malformed/private-key",
          at,
        );
      }
    } catch (error) {
      assert.ok(error instanceof BootstrapError, String(error));
      assert.match(error.code, /^(?:malformed\/private-key|refused\/key-type)$/, at);
      assert.ok(
        secrets.every((secret) => !JSON.stringify(error.details).includes(secret) && !error.message.includes(secret)),
      );
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assert.throws(() => readOpensshKey(concat(blob.subarray(0, bytes.length % 40), bytes), "key"), BootstrapError);
  }));
  assert.equal(
    createHash("sha256").update(readOpensshKey(blob, "key")).digest("hex"),
    createHash("sha256").update(pkcs8).digest("hex"),
  );
});
