import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { Bytes } from "../platform/bytes.ts";
import { concat, randomBytes, utf8 } from "../platform/bytes.ts";
import { CHUNK_BYTES, openChunks, sealChunks, TAG_BYTES } from "./sealed_chunks.ts";
import { inPieces } from "./testing/backups.ts";

const CONTEXT = utf8("context");
const REFUSED = { code: "refused/backup" };
const SEALED_BYTES = CHUNK_BYTES + TAG_BYTES;

const newKey = () => crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
const all = async (parts: AsyncIterable<Uint8Array>) => concat(...await Array.fromAsync(parts));
const seal = async (key: CryptoKey, content: Bytes) => await all(sealChunks(key, CONTEXT, inPieces(content)));
const open = (key: CryptoKey, sealed: Bytes, context: Bytes = CONTEXT) =>
  all(openChunks(key, context, inPieces(sealed)));

Deno.test("openChunks() restores contents of every length around a chunk's, in pieces of any size", async () => {
  const key = await newKey();
  for (const length of [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES]) {
    const content = new Uint8Array(length).fill(7);
    const sealed = await seal(key, content);
    assert.equal(sealed.length, length + TAG_BYTES * Math.max(1, Math.ceil(length / CHUNK_BYTES)));
    assert.deepEqual(await open(key, sealed), content);
  }
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  await fc.assert(fc.asyncProperty(pieces, async (parts) => {
    const source = async function* () {
      for (const part of parts) yield await Promise.resolve(part);
    };
    assert.deepEqual(await open(key, await all(sealChunks(key, CONTEXT, source()))), concat(...parts));
  }));
});

Deno.test("openChunks() refuses any changed byte, another key, and another context", async () => {
  const key = await newKey();
  const sealed = await seal(key, randomBytes(200));
  for (let index = 0; index < sealed.length; index++) {
    const changed = sealed.slice();
    changed[index] = (changed[index] ?? 0) ^ 1;
    await assert.rejects(open(key, changed), REFUSED);
  }
  await assert.rejects(open(await newKey(), sealed), REFUSED);
  await assert.rejects(open(key, sealed, utf8("other")), REFUSED);
});

Deno.test("openChunks() refuses a content that was cut, also between chunks, reordered, or lengthened", async () => {
  const key = await newKey();
  const sealed = await seal(key, new Uint8Array(2 * CHUNK_BYTES + 5).fill(3));
  const [one, two, rest] = [0, 1, 2].map((index) => sealed.slice(index * SEALED_BYTES, (index + 1) * SEALED_BYTES));
  assert.ok(one !== undefined && two !== undefined && rest !== undefined);
  const nothing = new Uint8Array();
  for (
    const wrong of [nothing, one, concat(one, two), concat(one, rest), concat(two, one, rest), concat(sealed, rest)]
  ) {
    await assert.rejects(open(key, wrong), REFUSED);
  }
  for (const end of [1, TAG_BYTES, SEALED_BYTES - 1, SEALED_BYTES + 1, sealed.length - 1]) {
    await assert.rejects(open(key, sealed.slice(0, end)), REFUSED);
  }
});
