import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { parseMeasurementRecord, readMeasurementRecord, writeMeasurementRecord } from "./measurement_record.ts";

const time = "2026-01-01T00:00:00.000Z";
const isSaid = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/measurement-record";

Deno.test("readMeasurementRecord() reads what was written, and nothing before that", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assert.equal(await readMeasurementRecord(folder), undefined);
    await writeMeasurementRecord(folder, { time, tries: 3, bootId: "b" });
    assert.deepEqual(await readMeasurementRecord(folder), { version: 2, time, tries: 3, bootId: "b" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parseMeasurementRecord() reads a record, or says what is wrong, for any bytes", () => {
  const valid = `{"version":2,"time":"${time}","tries":1,"bootId":"b"}`;
  for (let length = 0; length < valid.length; length++) {
    assert.throws(() => parseMeasurementRecord(utf8(valid.slice(0, length)), "it"), isSaid);
  }
  fc.assert(fc.property(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const bytes = utf8(valid);
    bytes[at] = (bytes[at] ?? 0) ^ change;
    try {
      assert.ok(parseMeasurementRecord(bytes, "it").tries >= 1);
    } catch (error) {
      assert.ok(isSaid(error));
    }
  }));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.throws(() => parseMeasurementRecord(bytes, "it"), isSaid)));
});
