import assert from "node:assert/strict";
import fc from "fast-check";
import { hex } from "../platform/bytes.ts";
import { readDer, TAG } from "./der.ts";
import {
  derAlgorithm,
  derBits,
  derBoolean,
  derElement,
  derNumber,
  derOctets,
  derOid,
  derSequence,
  derText,
  derTime,
  derUnsigned,
} from "./der_writer.ts";

const bytes = (maximum: number) => fc.uint8Array({ maxLength: maximum });

Deno.test("each function writes what the standard shows", () => {
  const written: readonly [Uint8Array, string][] = [
    [derBoolean(true), "0101ff"],
    [derBoolean(false), "010100"],
    [derNumber(0), "020100"],
    [derNumber(127), "02017f"],
    [derNumber(128), "02020080"],
    [derNumber(0xffffffff), "020500ffffffff"],
    [derUnsigned(Uint8Array.of(0, 0, 1)), "020101"],
    [derUnsigned(new Uint8Array()), "020100"],
    // X.690, 8.19.5.
    [derOid("2.100.3"), "0603813403"],
    [derOid("1.2.840.113549"), "06062a864886f70d"],
    [derText("é"), "0c02c3a9"],
    [derBits(Uint8Array.of(0x80), 7), "03020780"],
    [derTime(new Date("2049-12-31T23:59:59Z")), "170d3439313233313233353935395a"],
    [derTime(new Date("2050-01-01T00:00:00Z")), "180f32303530303130313030303030305a"],
    // RFC 5758, 3.2.
    [derAlgorithm("1.2.840.10045.4.3.2"), "300a06082a8648ce3d040302"],
    [derSequence(derNumber(1), derNumber(2)), "3006020101020102"],
  ];
  for (const [element, expected] of written) assert.equal(hex(element), expected);
});

Deno.test("derElement() writes each length in its shortest form, up to 65,535 octets", () => {
  for (const length of [0, 127, 128, 255, 256, 65_000]) {
    const content = new Uint8Array(length).fill(1);
    const read = readDer(derOctets(content), "test");
    assert.equal(read.octets().length, length);
  }
  assert.equal(derElement(TAG.octetString, new Uint8Array(65_535)).length, 65_539);
  assert.throws(() => derElement(TAG.octetString, new Uint8Array(65_536)), RangeError);
});

Deno.test("the strict reader reads back all that is written", () => {
  fc.assert(fc.property(
    ...[bytes(300), bytes(20), fc.nat(), fc.string({ unit: "grapheme", maxLength: 200 })] as const,
    fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
    fc.date({ min: new Date("1950-01-01"), max: new Date("2200-01-01"), noInvalidDate: true }),
    (octets, value, number, text, arcs, date) => {
      const oid = ["2", ...arcs].join(".");
      const time = new Date(Math.floor(date.getTime() / 1000) * 1000);
      const element = derSequence(
        ...[derOctets(octets), derUnsigned(value), derNumber(number), derText(text), derOid(oid), derTime(time)],
        ...[derBoolean(number % 2 === 0), derBits(octets)],
      );
      const reader = readDer(element, "test").inside();
      assert.deepEqual(reader.octets(), octets);
      const first = value.findIndex((octet) => octet !== 0);
      assert.deepEqual(reader.unsigned(), first < 0 ? Uint8Array.of(0) : value.slice(first));
      assert.equal(reader.small(0xffffffff), number);
      assert.equal(reader.text(), text);
      assert.equal(reader.oid(), oid);
      assert.deepEqual(reader.time(), time);
      assert.equal(reader.boolean(), number % 2 === 0);
      assert.deepEqual(reader.octetBits(), octets);
      reader.end();
    },
  ));
});
