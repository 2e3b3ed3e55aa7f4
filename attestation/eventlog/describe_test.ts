import assert from "node:assert/strict";
import { concat, fromHex, utf8 } from "../../platform/bytes.ts";
import { describeEvent, isVouchedFor } from "./describe.ts";
import { readEventLog } from "./event_log.ts";
import { EVENT_TYPE, eventTypeName } from "./event_types.ts";
import { le, utf16, writeLog, type WrittenEvent } from "./testing/event_logs.ts";

const guid = fromHex("61dfe48bca93d211aa0d00e098032b8c", "guid");
const filePath = (path: string) => concat(le(4, 1), le(4, 1), le(4 + 2 * (path.length + 1), 2), utf16(`${path}\0`));
const end = fromHex("7fff0400", "end");
const variable = (name: string, value: Uint8Array) =>
  concat(guid, le(name.length, 8), le(value.length, 8), utf16(name), value);
const image = (path: Uint8Array) => concat(le(0, 8), le(123, 8), le(0, 8), le(path.length, 8), path);

function described(event: Omit<WrittenEvent, "pcr">): string {
  const [read] = readEventLog(writeLog([{ pcr: 4, ...event }])).events;
  assert.ok(read !== undefined);
  return `${describeEvent(read)}${isVouchedFor(read) ? " ✓" : ""}`;
}

Deno.test("describeEvent() describes an event by its type", () => {
  const path = concat(filePath("\\EFI\\BOOT\\BOOTX64.EFI"), end);
  const option = concat(le(1, 4), le(path.length, 2), utf16("Linux\0"), path);
  const disk = concat(fromHex("04012a00", ""), le(2, 4), new Uint8Array(16), guid, fromHex("0202", ""));
  const partition = concat(guid, new Uint8Array(40), utf16("root".padEnd(36, "\0")));
  const table = concat(
    new Uint8Array(56),
    guid,
    new Uint8Array(12),
    le(128, 4),
    new Uint8Array(4),
    le(1, 8),
    partition,
  );
  const cases: readonly (readonly [Omit<WrittenEvent, "pcr">, string])[] = [
    [{ type: EVENT_TYPE.separator, data: new Uint8Array(4) }, "separator 00000000 ✓"],
    [{ type: EVENT_TYPE.separator, data: le(1, 4) }, "separator 01000000: the firmware reports an error ✓"],
    [{ type: EVENT_TYPE.efiAction, data: utf8("Exit Boot Services Invocation") }, "Exit Boot Services Invocation ✓"],
    [{ type: EVENT_TYPE.scrtmVersion, data: utf16("v 1.2\0") }, "v 1.2 ✓"],
    [{ type: EVENT_TYPE.variableDriverConfig, data: variable("SecureBoot", le(1, 1)) }, "SecureBoot = 01 ✓"],
    [{ type: EVENT_TYPE.variableBoot, data: variable("BootOrder", le(0x10002, 4)) }, "BootOrder = 0002, 0001 ✓"],
    [
      { type: EVENT_TYPE.variableBoot, data: variable("Boot0001", option), measured: option },
      'Boot0001 = "Linux" \\EFI\\BOOT\\BOOTX64.EFI ✓',
    ],
    [
      { type: EVENT_TYPE.bootServicesApplication, data: image(concat(disk, path)), measured: utf8("a program") },
      "HD(2,8be4df61-93ca-11d2-aa0d-00e098032b8c)/\\EFI\\BOOT\\BOOTX64.EFI, 123 bytes",
    ],
    [
      { type: EVENT_TYPE.gpt, data: table },
      'disk 8be4df61-93ca-11d2-aa0d-00e098032b8c, 1 partitions: 8be4df61-93ca-11d2-aa0d-00e098032b8c "root" ✓',
    ],
    [{ type: EVENT_TYPE.ipl, data: utf16(".linux\0"), measured: utf8(".linux\0") }, ".linux ✓"],
    [{ type: EVENT_TYPE.ipl, data: utf16(".linux\0"), measured: utf8("a kernel") }, ".linux"],
    [{ type: EVENT_TYPE.ipl, data: utf8("grub_cmd: linux x\0"), measured: utf8("linux x") }, "grub_cmd: linux x ✓"],
    [
      { type: EVENT_TYPE.firmwareBlob, data: concat(le(0xff000000, 8), le(64, 8)) },
      "firmware at 0xff000000, 64 bytes ✓",
    ],
    [
      { type: EVENT_TYPE.firmwareBlob2, data: concat(le(2, 1), utf8("FV"), le(1, 8), le(2, 8)) },
      "FV at 0x1, 2 bytes ✓",
    ],
    [
      { type: EVENT_TYPE.eventTag, data: concat(le(7, 4), le(2, 4), utf8("hi")), measured: utf8("hi") },
      "tag 00000007: hi ✓",
    ],
    [{ type: EVENT_TYPE.noAction, data: concat(utf8("StartupLocality\0"), le(3, 1)) }, "StartupLocality 03"],
  ];
  for (const [event, text] of cases) assert.equal(described(event), text);
});

Deno.test("describeEvent() shows bytes that do not have their type's form, and removes control characters", () => {
  assert.equal(described({ type: EVENT_TYPE.variableBoot, data: le(7, 3) }), "070000 ✓");
  assert.equal(described({ type: EVENT_TYPE.gpt, data: new Uint8Array() }), "no data ✓");
  const huge = concat(new Uint8Array(92), le(0xffffffffffffffffn, 8));
  assert.match(described({ type: EVENT_TYPE.gpt, data: huge }), /^0{64}… \(100 bytes\)/);
  assert.match(described({ type: EVENT_TYPE.ipl, data: utf16("a\u001b[2Jb\u202ec") }), /^[^\p{Cc}\p{Cf}]+$/u);
  assert.ok(described({ type: EVENT_TYPE.efiAction, data: utf8("x".repeat(9999)) }).length < 210);
});

Deno.test("eventTypeName() names the profile's types, and returns the number of any other", () => {
  assert.equal(eventTypeName(0x80000003), "EV_EFI_BOOT_SERVICES_APPLICATION");
  assert.equal(eventTypeName(0x1234), "0x00001234");
});
