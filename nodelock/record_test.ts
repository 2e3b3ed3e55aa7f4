import { deepEqual, equal, rejects } from "node:assert/strict";
import fc from "fast-check";
import { fromUtf8, sha256, utf8 } from "../platform/bytes.ts";
import type { LockRecord } from "./record.ts";
import { decodeLockRecord, encodeLockRecord, LOCK_OWNERS, MAXIMUM_RECORD_LENGTH } from "./record.ts";

const record: LockRecord = {
  owner: "init",
  clusterId: Uint8Array.from({ length: 32 }, (_, i) => i),
  time: new Date("2026-01-02T03:04:05.678Z"),
};
const malformed = { name: "BootstrapError", code: "malformed/lock-record" };

const records = fc.record({
  owner: fc.constantFrom(...LOCK_OWNERS),
  clusterId: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => new Uint8Array(bytes)),
  time: fc.date({ noInvalidDate: true }),
});

/** Returns a line with these fields and their correct checksum. */
async function lineOf(fields: Readonly<Record<string, unknown>>): Promise<Uint8Array> {
  const checksum = (await sha256(utf8(JSON.stringify(fields)))).toHex();
  return utf8(JSON.stringify({ ...fields, checksum }) + "\n");
}

Deno.test("encodeLockRecord() returns one line of JSON", async () => {
  const fields = '{"version":1,"owner":"init",' +
    '"clusterId":"sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",' +
    '"time":"2026-01-02T03:04:05.678Z"';
  const checksum = "7e79d1273ad779699087289552d722a27d2cae548fc04f069a951a7ad58e4e37";
  equal(fromUtf8(await encodeLockRecord(record), "line"), `${fields},"checksum":"${checksum}"}\n`);
});

Deno.test("encodeLockRecord() rejects when the record is invalid", async () => {
  const internal = { code: "internal/lock-record" };
  await rejects(encodeLockRecord({ ...record, clusterId: new Uint8Array(31) }), internal);
  await rejects(encodeLockRecord({ ...record, time: new Date(NaN) }), internal);
});

Deno.test("decodeLockRecord() returns the record that encodeLockRecord() encoded", async () => {
  await fc.assert(fc.asyncProperty(records, async (any) => {
    const bytes = await encodeLockRecord(any);
    deepEqual(await decodeLockRecord(bytes, "lock"), any);
    equal(bytes.length <= MAXIMUM_RECORD_LENGTH, true);
  }));
});

Deno.test("decodeLockRecord() rejects when any bit is flipped", async () => {
  const bytes = await encodeLockRecord(record);
  for (let position = 0; position < bytes.length * 8; position++) {
    const flipped = bytes.slice();
    flipped[position >> 3] = (flipped[position >> 3] ?? 0) ^ (1 << (position & 7));
    await rejects(decodeLockRecord(flipped, "lock"), malformed, `bit ${position}`);
  }
});

Deno.test("decodeLockRecord() rejects when the record is torn, at any length", async () => {
  const bytes = await encodeLockRecord(record);
  for (let length = 0; length < bytes.length; length++) {
    await rejects(decodeLockRecord(bytes.subarray(0, length), "lock"), malformed, `length ${length}`);
    const zeroed = bytes.slice().fill(0, length);
    await rejects(decodeLockRecord(zeroed, "lock"), malformed, `zero from ${length}`);
  }
});

Deno.test("decodeLockRecord() rejects when anything surrounds the record", async () => {
  await fc.assert(
    fc.asyncProperty(records, fc.uint8Array({ minLength: 1, maxLength: 300 }), async (any, more) => {
      const bytes = await encodeLockRecord(any);
      await rejects(decodeLockRecord(new Uint8Array([...bytes, ...more]), "lock"), malformed);
      await rejects(decodeLockRecord(new Uint8Array([...more, ...bytes]), "lock"), malformed);
    }),
  );
});

Deno.test("decodeLockRecord() rejects when the bytes are foreign", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
    await rejects(decodeLockRecord(new Uint8Array(bytes), "lock"), malformed);
  }));
  await fc.assert(fc.asyncProperty(fc.json(), async (json) => {
    await rejects(decodeLockRecord(utf8(json + "\n"), "lock"), malformed);
  }));
});

Deno.test("decodeLockRecord() names the wrong field, even when the checksum is correct", async () => {
  const { owner, time } = record;
  const clusterId = `sha256:${record.clusterId.toHex()}`;
  const good = { version: 1, owner, clusterId, time: time.toISOString() };
  deepEqual(await decodeLockRecord(await lineOf(good), "lock"), record);
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ ...good, version: 2 }, /version: expected 1, seen 2/],
    [{ ...good, version: "1" }, /version: expected 1, seen "1"/],
    [{ owner, clusterId, time: good.time }, /version is missing/],
    [{ ...good, owner: "root" }, /owner: "root" is none of init, join/],
    [{ ...good, owner: ["init"] }, /owner: expected \("init" \| "join"\), seen a list/],
    [{ ...good, clusterId: record.clusterId.toHex() }, /clusterId: is not sha256:/],
    [{ ...good, clusterId: clusterId.toUpperCase() }, /clusterId: is not sha256:/],
    [{ ...good, clusterId: `${clusterId}00` }, /clusterId: is not sha256:/],
    [{ ...good, time: "yesterday" }, /time: is not a time/],
    [{ ...good, time: 0 }, /time: expected string, seen 0/],
    [{ ...good, time: "2026-01-02" }, /its form is wrong/],
    [{ ...good, more: 1 }, /its form is wrong/],
    [{ owner, version: 1, clusterId, time: good.time }, /its form is wrong/],
    [{ ...good, time: "2".repeat(400) }, /larger than 512 bytes/],
  ];
  for (const [fields, message] of cases) {
    await rejects(decodeLockRecord(await lineOf(fields), "lock"), { ...malformed, message });
  }
});
