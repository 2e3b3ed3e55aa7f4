import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, equalBytes, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { describeEvent, isVouchedFor } from "./describe.ts";
import { MAXIMUM_LOG_BYTES, readEventLog } from "./event_log.ts";
import { EVENT_TYPE } from "./event_types.ts";
import { replay } from "./replay.ts";
import { le, writeEvent, writeHeader, writeLog } from "./testing/event_logs.ts";

const separator = { pcr: 4, type: EVENT_TYPE.separator, data: new Uint8Array(4) };
const action = { pcr: 4, type: EVENT_TYPE.efiAction, data: utf8("Calling EFI Application from Boot Option") };
const sha1 = (bytes: Uint8Array) =>
  concat(le(4, 4), le(EVENT_TYPE.separator, 4), new Uint8Array(20), le(bytes.length, 4), bytes);

async function codeOf(bytes: Uint8Array): Promise<string> {
  return (await errorOf(() => readEventLog(bytes))).code;
}

Deno.test("readEventLog() reads the crypto-agile form, and replay() extends in order", async () => {
  const log = readEventLog(writeLog([action, separator]));
  assert.deepEqual(log.banks, ["sha1", "sha256"]);
  assert.deepEqual(log.events.map(({ number, pcr, type }) => [number, pcr, type]), [
    [0, 4, EVENT_TYPE.efiAction],
    [1, 4, EVENT_TYPE.separator],
  ]);
  const first = await sha256(new Uint8Array(32), await sha256(action.data));
  assert.deepEqual([...replay(log, "sha256")], [[4, await sha256(first, await sha256(separator.data))]]);
  assert.equal(replay(log, "sha1").get(4)?.length, 20);
  assert.equal(replay(log, "sha384").size, 0);
});

Deno.test("readEventLog() reads the old form, which has no header event", () => {
  const log = readEventLog(concat(sha1(utf8("x")), sha1(new Uint8Array())));
  assert.deepEqual([log.banks, log.events.length], [["sha1"], 2]);
});

Deno.test("replay() starts PCR 0 with the TPM's startup locality, and extends nothing by EV_NO_ACTION", () => {
  const started = (locality: number) => ({
    pcr: 0,
    type: EVENT_TYPE.noAction,
    data: concat(utf8("StartupLocality\0"), le(locality, 1)),
  });
  const valueAt = (locality: number) =>
    hex(
      replay(readEventLog(writeLog([started(locality), { ...separator, pcr: 0 }])), "sha256").get(0) ??
        new Uint8Array(),
    );
  assert.equal(new Set([0, 3, 4].map(valueAt)).size, 3);
  assert.equal(valueAt(9), valueAt(0));
  assert.equal(replay(readEventLog(writeLog([started(3)])), "sha256").size, 0);
});

Deno.test("readEventLog() skips banks that it cannot replay, and reads the rest", () => {
  const sm3 = concat(le(4, 4), le(EVENT_TYPE.separator, 4), le(2, 4), le(0x12, 2), new Uint8Array(32));
  const event = concat(sm3, le(0x0b, 2), new Uint8Array(32), le(0, 4));
  assert.deepEqual(readEventLog(concat(writeHeader([[0x12, 32], [0x0b, 32]]), event)).banks, ["sha256"]);
  const later = concat(le(4, 4), le(EVENT_TYPE.separator, 4), le(2, 4), le(0x99, 2), new Uint8Array(28));
  const read = readEventLog(
    concat(writeHeader([[0x99, 28], [0x0b, 32]]), later, le(0x0b, 2), new Uint8Array(32), le(0, 4)),
  );
  assert.deepEqual([read.banks, read.events.length, read.behind], [["sha256"], 1, ""]);
});

Deno.test("readEventLog() refuses headers that violate the profile, and stops at events that do", async () => {
  const event = writeEvent(separator);
  const header = writeHeader();
  const digest = (id: number, length: number) => concat(le(id, 2), new Uint8Array(length));
  const start = concat(le(4, 4), le(EVENT_TYPE.separator, 4));
  const headers: Readonly<Record<string, Uint8Array>> = {
    "nothing": new Uint8Array(),
    "no bank": writeHeader([]),
    "too many banks": writeHeader(Array.from({ length: 17 }, () => [0x0b, 32] as const)),
    "a bank twice": writeHeader([[0x0b, 32], [0x0b, 32]]),
    "a bank of another length": writeHeader([[0x0b, 31]]),
    "a bank of endless digests": writeHeader([[0x99, 129]]),
    "a header that ends in its banks": concat(
      le(0, 4),
      le(EVENT_TYPE.noAction, 4),
      new Uint8Array(20),
      le(28, 4),
      header.subarray(32, 60),
    ),
    "a log that is too large": new Uint8Array(MAXIMUM_LOG_BYTES + 1),
    "the old form cut": sha1(utf8("x")).subarray(0, 30),
  };
  for (const [name, bytes] of Object.entries(headers)) assert.equal(await codeOf(bytes), "malformed/event-log", name);
  const events: Readonly<Record<string, Uint8Array>> = {
    "an event of PCR 24": concat(le(24, 4), event.subarray(4)),
    "an event of no PCR that measures": concat(le(0xffffffff, 4), event.subarray(4)),
    "an event with one digest": concat(start, le(1, 4), digest(0x0b, 32), le(0, 4)),
    "an event with three": concat(start, le(3, 4), digest(4, 20), digest(0x0b, 32), digest(0x0c, 48), le(0, 4)),
    "an event with one digest twice": concat(start, le(2, 4), digest(0x0b, 32), digest(0x0b, 32), le(0, 4)),
    "an event with one of another bank": concat(start, le(2, 4), digest(4, 20), digest(0x0c, 48), le(0, 4)),
    "an event with many digests": concat(start, le(0xffffffff, 4)),
    "an event that is longer than the log": concat(event.subarray(0, event.length - 8), le(0xffffffff, 4)),
    "one odd byte": Uint8Array.of(7),
  };
  for (const [name, bytes] of Object.entries(events)) {
    const { events, behind } = readEventLog(concat(header, writeEvent(action), bytes, event));
    assert.deepEqual(events.map(({ type }) => type), [EVENT_TYPE.efiAction], name);
    const left = bytes.length + event.length;
    assert.match(behind, new RegExp(`^the ${left} bytes behind the 1 events of the event log are no event: `), name);
  }
});

Deno.test("readEventLog() reads the events behind a header with a digest, another register, or more of the vendor's", () => {
  const [header, event] = [writeHeader(), writeEvent(separator)];
  const longer = concat(header.subarray(0, 28), le(header.length - 31, 4), header.subarray(32), le(0, 1));
  for (const odd of [flipped(header, 8), flipped(header, 0), longer]) {
    const { events, behind } = readEventLog(concat(odd, event));
    assert.deepEqual([events.length, behind], [1, ""]);
  }
});

Deno.test("readEventLog() takes zeros or FF behind the last event for padding, in both forms", () => {
  for (const octet of [0, 0xff]) {
    for (const count of [1, 32, 64, 5000]) {
      const padding = new Uint8Array(count).fill(octet);
      const agile = readEventLog(concat(writeLog([action, separator]), padding));
      const old = readEventLog(concat(sha1(utf8("x")), sha1(new Uint8Array(4)), padding));
      assert.deepEqual([agile.events.length, old.events.length], [2, 2]);
      for (const { behind } of [agile, old]) {
        assert.equal(behind, `the ${count} bytes behind the 2 events of the event log are no event`);
      }
    }
  }
});

Deno.test("readEventLog() reads the whole events of a log that is cut off or continues, at any position", () => {
  const whole = writeLog([action, separator]);
  const [header, first] = [writeHeader().length, writeHeader().length + writeEvent(action).length];
  for (let length = header; length < whole.length; length++) {
    const { events, behind } = readEventLog(whole.subarray(0, length));
    assert.equal(events.length, length < first ? 0 : 1);
    assert.equal(behind === "", length === header || length === first);
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 15 }), (trailing) => {
    const { events, behind } = readEventLog(concat(whole, trailing));
    assert.equal(events.length, 2);
    assert.match(behind, new RegExp(`^the ${trailing.length} bytes behind the 2 events`));
  }));
});

Deno.test("replay() starts PCR 0 at 4 where the processor measured before the firmware, and the log says nothing else", async () => {
  const hardware = { pcr: 0, type: EVENT_TYPE.hcrtm, data: utf8("HCRTM") };
  const started = { pcr: 0, type: EVENT_TYPE.noAction, data: concat(utf8("StartupLocality\0"), le(3, 1)) };
  const valueOf = async (from: number) =>
    hex(await sha256(new Uint8Array(32).with(31, from), await sha256(hardware.data)));
  const replayed = (events: Parameters<typeof writeLog>[0]) =>
    hex(replay(readEventLog(writeLog(events)), "sha256").get(0) ?? new Uint8Array());
  assert.equal(replayed([hardware]), await valueOf(4));
  assert.equal(replayed([{ ...separator, pcr: 7 }, hardware]), await valueOf(4));
  assert.equal(replayed([started, hardware]), await valueOf(3));
  // Another event came first, so the processor did not measure.
  const zero = await sha256(
    await sha256(new Uint8Array(32), await sha256(separator.data)),
    await sha256(hardware.data),
  );
  assert.equal(replayed([{ ...separator, pcr: 0 }, hardware]), hex(zero));
});

Deno.test("readEventLog(), replay() and describeEvent() throw only malformed/event-log, whatever the bytes", () => {
  const event = fc.record({
    pcr: fc.integer({ min: 0, max: 23 }),
    type: fc.constantFrom(...Object.values(EVENT_TYPE), 0x1234),
    data: fc.uint8Array({ maxLength: 120 }),
  });
  const log = fc.array(event, { maxLength: 6 }).map(writeLog);
  const changed = fc.tuple(log, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([bytes, at, mask]) =>
    flipped(bytes, at % bytes.length, mask)
  );
  fc.assert(
    fc.property(fc.oneof(log, changed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        const read = readEventLog(bytes);
        for (const bank of read.banks) replay(read, bank);
        for (const one of read.events) {
          assert.match(describeEvent(one), /^[^\p{Cc}]{0,201}$/u);
          isVouchedFor(one);
        }
      } catch (error) {
        assert.ok(error instanceof BootstrapError, String(error));
        assert.equal(error.code, "malformed/event-log");
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("replay() returns another value when any digest of an event changes", async () => {
  const bytes = writeLog([action, separator]);
  const before = replay(readEventLog(bytes), "sha256").get(4) ?? new Uint8Array();
  const at = hex(bytes).indexOf(hex(await sha256(action.data))) / 2;
  for (let i = 0; i < 32; i++) {
    const after = replay(readEventLog(flipped(bytes, at + i)), "sha256").get(4) ?? new Uint8Array();
    assert.ok(!equalBytes(before, after));
  }
});
