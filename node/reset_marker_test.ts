import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { utf8 } from "../platform/bytes.ts";
import {
  checkNoReset,
  isResetUnderWay,
  readResetMarker,
  removeResetMarker,
  RESET_MARKER_FILE,
  writeResetMarker,
} from "./reset_marker.ts";

const MARKER = { startedAt: "2026-01-01T00:00:00.000Z", etcdPeers: ["https://10.0.0.2:2379"] };

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("checkNoReset() refuses as long as the marker exists", () =>
  withFolder(async (folder) => {
    await checkNoReset(folder);
    assert.equal(await readResetMarker(folder), undefined);
    await writeResetMarker(folder, { ...MARKER, etcdPeers: [] });
    await writeResetMarker(folder, MARKER);
    assert.deepEqual(await readResetMarker(folder), MARKER);
    assert.equal(await isResetUnderWay(folder), true);
    await assert.rejects(checkNoReset(folder), { code: "precondition/reset-under-way", retriable: false });
    await removeResetMarker(folder);
    await removeResetMarker(folder);
    await checkNoReset(folder);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("readResetMarker() refuses a torn or altered marker, and checkNoReset() still refuses", () =>
  withFolder(async (folder) => {
    const path = join(folder, RESET_MARKER_FILE);
    await writeResetMarker(folder, MARKER);
    const good = await Deno.readFile(path);
    for (let length = 0; length < good.length - 1; length++) {
      await Deno.writeFile(path, good.subarray(0, length));
      await assert.rejects(readResetMarker(folder), { code: "malformed/reset-marker" }, `${length} bytes`);
      assert.equal(await isResetUnderWay(folder), true);
    }
    for (const text of ["{}", "[]", '{"version":2}', JSON.stringify({ version: 1, ...MARKER, more: 1 })]) {
      await Deno.writeFile(path, utf8(text));
      await assert.rejects(readResetMarker(folder), { code: "malformed/reset-marker" });
    }
  }));

Deno.test("readResetMarker() gives peers with https or malformed/reset-marker for any flipped byte", () =>
  withFolder(async (folder) => {
    const path = join(folder, RESET_MARKER_FILE);
    await writeResetMarker(folder, MARKER);
    const good = await Deno.readFile(path);
    await fc.assert(fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const bad = good.with(at, (good[at] ?? 0) ^ flip);
      await Deno.writeFile(path, bad);
      const read = await readResetMarker(folder).catch((error) => assert.equal(error.code, "malformed/reset-marker"));
      if (read) assert.ok(read.etcdPeers.every((peer) => peer.startsWith("https://")));
    }));
  }));
