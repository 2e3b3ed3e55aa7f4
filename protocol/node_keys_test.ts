import assert from "node:assert/strict";
import { join } from "node:path";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import {
  IDENTITY_KEY_FILE,
  identityOfKey,
  NODE_KEY_FILES,
  readOrCreateIdentityKey,
  readOrCreateNodeKeys,
} from "./node_keys.ts";

Deno.test("readOrCreateNodeKeys() makes keys once, for root only, and new ones when they are gone", async () => {
  const parent = await Deno.makeTempDir();
  const folder = join(parent, "run");
  const first = await readOrCreateNodeKeys(folder);
  const again = await readOrCreateNodeKeys(folder);
  assert.equal(first.node.type, "p-256");
  assert.deepEqual(again.node.spki, first.node.spki);
  assert.equal(first.serving.type, "p-256");
  assert.notDeepEqual(first.serving.spki, first.node.spki);
  assert.deepEqual(again.serving.spki, first.serving.spki);
  assert.equal(first.sealing.publicKey.length, 32);
  assert.deepEqual(again.sealing.publicKey, first.sealing.publicKey);
  assert.equal((Deno.statSync(folder).mode ?? 0) & 0o777, 0o700);
  for (const { name } of Deno.readDirSync(folder)) {
    assert.equal((Deno.statSync(join(folder, name)).mode ?? 0) & 0o777, 0o600);
  }
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), NODE_KEY_FILES);
  for (const name of NODE_KEY_FILES) await Deno.remove(join(folder, name));
  assert.notDeepEqual((await readOrCreateNodeKeys(folder)).node.spki, first.node.spki);
  await Deno.remove(parent, { recursive: true });
});

Deno.test("readOrCreateNodeKeys() keeps a sealing key that agrees on a secret with others", async () => {
  const folder = await Deno.makeTempDir();
  await readOrCreateNodeKeys(folder);
  const { sealing } = await readOrCreateNodeKeys(folder);
  const name = "X25519";
  const other = await crypto.subtle.generateKey({ name }, true, ["deriveBits"]) as CryptoKeyPair;
  const publicKey = await crypto.subtle.importKey("raw", sealing.publicKey, { name }, true, []);
  const theirs = await crypto.subtle.deriveBits({ name, public: publicKey }, other.privateKey, 256);
  const ours = await crypto.subtle.deriveBits({ name, public: other.publicKey }, sealing.privateKey, 256);
  assert.deepEqual(new Uint8Array(ours), new Uint8Array(theirs));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("readOrCreateNodeKeys() refuses files that hold something else", async () => {
  const folder = await Deno.makeTempDir();
  await readOrCreateNodeKeys(folder);
  const wrong = await privateKeyPem(await generateKeyPair("ed25519"));
  for (
    const [file, code] of [
      ["sealing.key", "malformed/sealing-key"],
      ["serving.key", "malformed/node-key"],
      ["node.key", "malformed/node-key"],
    ] as const
  ) {
    await Deno.writeTextFile(join(folder, file), wrong);
    await assert.rejects(readOrCreateNodeKeys(folder), { code });
    await Deno.writeTextFile(join(folder, file), "");
    await assert.rejects(readOrCreateNodeKeys(folder), { code: "malformed/pem" });
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("readOrCreateIdentityKey() makes one key, for root only, however many ask at once", async () => {
  const parent = await Deno.makeTempDir();
  const folder = join(parent, "state");
  const keys = await Promise.all(Array.from({ length: 8 }, () => readOrCreateIdentityKey(folder)));
  keys.push(await readOrCreateIdentityKey(folder));
  assert.equal(new Set(keys.map(({ spki }) => spki.toHex())).size, 1);
  const path = join(folder, IDENTITY_KEY_FILE);
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), [IDENTITY_KEY_FILE]);
  assert.match(await identityOfKey(keys[0]?.spki ?? new Uint8Array()), /^[0-9a-f]{64}$/);
  await Deno.writeTextFile(path, await privateKeyPem(await generateKeyPair("ed25519")));
  await assert.rejects(readOrCreateIdentityKey(folder), { code: "malformed/node-key" });
  await Deno.remove(parent, { recursive: true });
});
