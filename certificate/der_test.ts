import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { assertRefused, element } from "./testing/certificates.ts";
import { contextTag, type DerReader, readDer, TAG } from "./der.ts";

const der = (hexText: string) => readDer(fromHex(hexText.replaceAll(" ", ""), "test"), "test");

const REFUSED: readonly [name: string, encoding: string, read: (reader: DerReader) => unknown][] = [
  ["nothing", "", (r) => r.element()],
  ["a tag alone", "30", (r) => r.element()],
  ["an element that is cut off", "30 02 05", (r) => r.element()],
  ["a trailing byte", "05 00 00", (r) => r.element()],
  ["an indefinite length", "30 80 00 00", (r) => r.element()],
  ["a long length below 128", "04 81 01 00", (r) => r.element()],
  ["a padded length", "04 82 00 01 00", (r) => r.element()],
  ["a length of four octets", "04 84 00 00 00 01 00", (r) => r.element()],
  ["a length that is cut off", "04 82 01", (r) => r.element()],
  ["a high tag number", "1f 01 00", (r) => r.element()],
  ["a high tag number inside", "30 03 9f 01 00", (r) => r.element()],
  ["tag 0", "30 02 00 00", (r) => r.element()],
  ["a primitive SEQUENCE", "10 00", (r) => r.element()],
  ["a constructed OCTET STRING", "24 02 04 00", (r) => r.element()],
  ["a broken element that is not read", "30 04 30 02 02 05", (r) => r.element()],
  ["another tag than expected", "04 00", (r) => r.element(TAG.integer)],
  ["a surplus element", "30 02 05 00", (r) => r.inside().end()],
  ["a missing element", "30 00", (r) => r.inside().element()],
  ["BOOLEAN 01", "01 01 01", (r) => r.boolean()],
  ["an empty BOOLEAN", "01 00", (r) => r.boolean()],
  ["a BOOLEAN of two octets", "01 02 ff ff", (r) => r.boolean()],
  ["an empty INTEGER", "02 00", (r) => r.integer()],
  ["an INTEGER padded with 00", "02 02 00 7f", (r) => r.integer()],
  ["an INTEGER padded with FF", "02 02 ff 80", (r) => r.integer()],
  ["an INTEGER of 1,026 octets", `02 82 04 02 ${"01".repeat(1026)}`, (r) => r.integer()],
  ["a negative INTEGER read as unsigned", "02 01 80", (r) => r.unsigned()],
  ["a small INTEGER above its maximum", "02 01 04", (r) => r.small(3)],
  ["a small INTEGER of many octets", "02 06 01 00 00 00 00 00", (r) => r.small(0xffffffff)],
  ["an empty BIT STRING", "03 00", (r) => r.bits()],
  ["eight unused bits", "03 02 08 00", (r) => r.bits()],
  ["unused bits without an octet", "03 01 01", (r) => r.bits()],
  ["an unused bit that is set", "03 02 01 01", (r) => r.bits()],
  ["unused bits in a BIT STRING of octets", "03 02 01 02", (r) => r.octetBits()],
  ["named bits that end in a zero bit", "03 02 00 80", (r) => r.namedBits()],
  ["named bits that end in a zero octet", "03 03 07 80 00", (r) => r.namedBits()],
  ["an empty OID", "06 00", (r) => r.oid()],
  ["a padded OID", "06 02 80 01", (r) => r.oid()],
  ["an OID padded in its middle", "06 03 55 80 01", (r) => r.oid()],
  ["an OID that is cut off", "06 02 55 81", (r) => r.oid()],
  ["a SET OF out of order", "31 06 02 01 02 02 01 01", (r) => r.setOf()],
  ["invalid UTF-8", "0c 01 ff", (r) => r.text()],
  ["an @ in a PrintableString", "13 01 40", (r) => r.text()],
  ["an umlaut in an IA5String", "16 02 c3 a4", (r) => r.text()],
  ["a BMPString", "1e 02 00 41", (r) => r.text()],
];

for (const [name, encoding, read] of REFUSED) {
  Deno.test(`readDer() refuses ${name}`, async () => {
    await assertRefused(() => read(der(encoding)), /^malformed\/(der|utf8)$/);
  });
}

Deno.test("readDer() reads each type when it is encoded in DER", () => {
  assert.equal(der("01 01 ff").boolean(), true);
  assert.equal(der("01 01 00").boolean(), false);
  assert.equal(der("02 02 00 80").unsigned().toHex(), "80");
  assert.equal(der("02 01 00").small(0), 0);
  assert.equal(der("02 05 00 ff ff ff ff").small(0xffffffff), 0xffffffff);
  assert.deepEqual(der("03 02 01 06").namedBits(), new Set([5, 6]));
  assert.deepEqual(der("03 01 00").namedBits(), new Set());
  assert.deepEqual(der("03 02 00 04").namedBits("any"), new Set([5]));
  assert.equal(der("04 02 01 02").octets().toHex(), "0102");
  assert.equal(der("06 03 55 04 03").oid(), "2.5.4.3");
  assert.equal(der("06 09 2a 86 48 86 f7 0d 01 01 0b").oid(), "1.2.840.113549.1.1.11");
  assert.equal(der("06 03 88 37 03").oid(), "2.999.3");
  assert.equal(der("0c 02 c3 a4").text(), "ä");
  assert.equal(der("31 06 02 01 01 02 01 02").setOf().length, 2);
  assert.equal(der("31 06 02 01 02 02 01 01").setOf("any").length, 2);
  assert.equal(der("16 03 61 40 62").text(), "a@b");
  assert.equal(der("13 03 61 3d 62").text(), "a=b");
  assert.equal(der(`02 82 04 01 ${"01".repeat(1025)}`).integer().length, 1025);
  assert.ok(der("a0 02 05 00").inside(contextTag(0, "constructed")).next(TAG.null));
});

const timeElement = (tag: number, text: string) => readDer(element(tag, utf8(text)), "test");

Deno.test("time() reads UTCTime until 2049 and GeneralizedTime from 2050 when they are in their strict form", () => {
  assert.equal(timeElement(TAG.utcTime, "491231235959Z").time().toISOString(), "2049-12-31T23:59:59.000Z");
  assert.equal(timeElement(TAG.utcTime, "500101000000Z").time().toISOString(), "1950-01-01T00:00:00.000Z");
  assert.equal(timeElement(TAG.utcTime, "240229000000Z").time().toISOString(), "2024-02-29T00:00:00.000Z");
  assert.equal(timeElement(TAG.generalizedTime, "20500101000000Z").time().getUTCFullYear(), 2050);
  assert.equal(timeElement(TAG.generalizedTime, "99991231235959Z").time().getUTCFullYear(), 9999);
  assert.equal(timeElement(TAG.generalizedTime, "20211231235959Z").time("any").getUTCFullYear(), 2021);
});

for (
  const [tag, text] of [
    [TAG.generalizedTime, "20491231235959Z"],
    [TAG.generalizedTime, "20500101000000.5Z"],
    [TAG.generalizedTime, "205001010000Z"],
    [TAG.utcTime, "2401010000Z"],
    [TAG.utcTime, "240101000000"],
    [TAG.utcTime, "240101000000+0000"],
    [TAG.utcTime, "230229000000Z"],
    [TAG.utcTime, "241301000000Z"],
    [TAG.utcTime, "240101240000Z"],
    [TAG.utcTime, "240101000060Z"],
    [TAG.utcTime, "24010100000-Z"],
    [TAG.utf8String, "240101000000Z"],
    [TAG.utf8String, "20500101000000Z"],
  ] as const
) {
  Deno.test(`time() refuses ${text} when its tag is ${tag}`, async () => {
    await assertRefused(() => timeElement(tag, text).time(), "malformed/der");
  });
}

Deno.test("readDer() refuses input unread when it is longer than its limit", async () => {
  const octets = (length: number) => element(TAG.octetString, new Uint8Array(length));
  readDer(octets(6), "test", 8);
  await assertRefused(() => readDer(octets(7), "test", 8), "malformed/der");
  await assertRefused(() => readDer(octets((1 << 16) - 3), "test"), "malformed/der");
});

Deno.test("readDer() refuses input when it is nested too deep", async () => {
  const nested = (depth: number) =>
    Array(depth).fill(0).reduce<Uint8Array>((inner) => element(0x30, inner), element(5));
  readDer(nested(15), "test");
  await assertRefused(() => readDer(nested(17), "test"), "malformed/der");
  await assertRefused(() => readDer(nested(3000), "test"), "malformed/der");
});

Deno.test("readDer() names the field when it refuses", async () => {
  const error = await assertRefused(() => readDer(new Uint8Array(0), "the field"), "malformed/der");
  assert.match(error.message, /"the field"/);
  assert.equal(error.details.field, "the field");
});

const tree = fc.letrec<{ node: Uint8Array; leaf: Uint8Array; branch: Uint8Array }>((tie) => ({
  node: fc.oneof({ maxDepth: 8 }, tie("leaf"), tie("branch")),
  leaf: fc.tuple(fc.constantFrom(0x02, 0x03, 0x04, 0x06, 0x80, 0x9e), fc.uint8Array({ maxLength: 300 }))
    .map(([tag, content]) => element(tag, content)),
  branch: fc.tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xbe), fc.array(tie("node"), { maxLength: 4 }))
    .map(([tag, parts]) => element(tag, ...parts)),
}));

Deno.test("readDer() reads any well-formed tree, but not when it is cut off or something follows", () => {
  fc.assert(fc.property(tree.node, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), (encoding, cut, extra) => {
    assert.deepEqual(readDer(encoding, "test").element().bytes, encoding);
    assert.throws(() => readDer(encoding.subarray(0, cut % encoding.length), "test"), BootstrapError);
    assert.throws(() => readDer(concat(encoding, extra), "test"), BootstrapError);
  }));
});

Deno.test("readDer() throws only malformed/der when it reads random bytes", () => {
  const reads: ((reader: DerReader) => unknown)[] = [
    (r) => r.inside(),
    (r) => r.boolean(),
    (r) => r.integer(),
    (r) => r.small(5),
    (r) => r.bits(),
    (r) => r.namedBits(),
    (r) => r.oid(),
    (r) => r.text(),
    (r) => r.time(),
    (r) => r.setOf(),
  ];
  const content = fc.uint8Array({ maxLength: 64 });
  const anyElement = fc.tuple(fc.constantFrom(...Object.values(TAG)), content).map(([tag, part]) => element(tag, part));
  fc.assert(
    fc.property(fc.oneof(content, anyElement), fc.constantFrom(...reads), (bytes, read) => {
      try {
        read(readDer(bytes, "test"));
      } catch (error) {
        assert.ok(error instanceof BootstrapError && /^malformed\//.test(error.code), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("unsigned() reads any encoded number", () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 1n << 160n }), (value) => {
    const digits = value.toString(16);
    const octets = fromHex(digits.length % 2 === 0 ? digits : `0${digits}`, "test");
    const content = (octets[0] ?? 0) >= 0x80 ? concat(new Uint8Array(1), octets) : octets;
    assert.deepEqual(readDer(element(TAG.integer, content), "test").unsigned(), octets);
  }));
});
