import assert from "node:assert/strict";
import fc from "fast-check";
import type { ByteFormat } from "./byte_reader.ts";
import { ByteReader } from "./byte_reader.ts";
import { BootstrapError } from "./errors.ts";

const error = (what: string, reason: string) =>
  new BootstrapError("malformed/der", `Cannot read "${what}" as ${reason}`);
const BIG: ByteFormat = { order: "big-endian", error };
const LITTLE: ByteFormat = { order: "little-endian", error };

function readerOf(hex: string, format = BIG): ByteReader {
  return new ByteReader(Uint8Array.fromHex(hex), "the whole", format);
}

Deno.test("ByteReader() reads integers in the order of the format", () => {
  const bytes = "01" + "0203" + "04050607" + "08090a0b0c0d0e0f";
  const read = (reader: ByteReader) => [reader.u8("a"), reader.u16("b"), reader.u32("c"), reader.u64("d")];
  assert.deepEqual(read(readerOf(bytes)), [1, 0x0203, 0x04050607, 0x08090a0b0c0d0e0fn]);
  assert.deepEqual(read(readerOf(bytes, LITTLE)), [1, 0x0302, 0x07060504, 0x0f0e0d0c0b0a0908n]);
  assert.equal(readerOf("fffffffffffffffe").u64("a"), 0xfffffffffffffffen);
  assert.equal(readerOf("ffffffff").u32("a"), 0xffffffff);
});

Deno.test("ByteReader() names the structure, the field, its offset, the expected and the actual value", () => {
  const cases: readonly [string, (reader: ByteReader) => unknown, string][] = [
    ["", (r) => r.u8("kind"), '"kind" at offset 0 must have 1 bytes: 0 are left'],
    ["00", (r) => r.u16("kind"), '"kind" at offset 0 must have 2 bytes: 1 are left'],
    ["000000", (r) => r.u32("kind"), '"kind" at offset 0 must have 4 bytes: 3 are left'],
    ["ff00", (r) => [r.u8("x"), r.u64("time")], '"time" at offset 1 must have 8 bytes: 1 are left'],
    ["0003aabb", (r) => r.sized16(10, "name"), '"name" at offset 2 must have 3 bytes: 2 are left'],
    ["0003aabbcc", (r) => r.sized16(2, "name"), '"name" at offset 2 must have at most 2 bytes: it has 3'],
    ["00", (r) => r.sized16(2, "name"), '"length of name" at offset 0 must have 2 bytes: 1 are left'],
    ["ffffffff00", (r) => r.sized32(2, "name"), '"name" at offset 4 must have at most 2 bytes: it has 4294967295'],
    ["0001", (r) => r.zeros(2, "reserved"), '"reserved" at offset 0 must be 2 zeros: it is 0001'],
    ["00", (r) => r.skip(2, "reserved"), '"reserved" at offset 0 must have 2 bytes: 1 are left'],
    ["0011", (r) => [r.u8("x"), r.end()], "it must end at offset 1: 1 bytes follow it"],
    ["00", (r) => r.at(1).u8("kind"), '"kind" at offset 1 must have 1 bytes: 0 are left'],
    ["00", (r) => r.at(9).bytes(0, "kind"), '"kind" at offset 9 must have 0 bytes: 0 are left'],
    ["00112233", (r) => [r.u8("x"), r.part(2, "part").at(1).u16("y")], '"y" at offset 2 must have 2 bytes: 1 are left'],
    ["00112233", (r) => [r.u8("x"), r.part(2, "part").end()], "it must end at offset 1: 2 bytes follow it"],
  ];
  for (const [bytes, read, reason] of cases) {
    assert.throws(() => read(readerOf(bytes)), {
      code: "malformed/der",
      message: `Cannot read "the whole" as ${reason}`,
    });
  }
});

Deno.test("ByteReader() refuses a length above the remaining bytes, however large, before it allocates", () => {
  for (const length of [2, 2 ** 32, 2 ** 53, Number(2n ** 64n - 1n), Infinity, NaN]) {
    for (const read of ["bytes", "skip", "zeros", "part"] as const) {
      assert.throws(() => readerOf("00")[read](length, "field"), { code: "malformed/der" });
    }
  }
});

Deno.test("ByteReader() keeps its place when it refuses", () => {
  const reader = readerOf("00112233");
  reader.u16("a");
  assert.throws(() => reader.u32("b"));
  assert.equal(reader.offset, 2);
  assert.equal(reader.u16("b"), 0x2233);
  reader.end();
});

Deno.test("ByteReader.bytes() gives a copy, also of bytes within a larger buffer", () => {
  const buffer = Uint8Array.fromHex("ff010203ff");
  const reader = new ByteReader(buffer.subarray(1, 4), "the whole", BIG);
  assert.equal(reader.u16("a"), 0x0102);
  const rest = reader.rest("b");
  rest[0] = 9;
  assert.equal(buffer.toHex(), "ff010203ff");
  assert.equal(rest.buffer.byteLength, 1);
});

Deno.test("ByteReader() returns all bytes in order or refuses, whatever the sequence of reads is", () => {
  const step = fc.record({
    kind: fc.constantFrom("bytes", "part", "u8", "u16", "u32", "u64", "sized16", "sized32"),
    length: fc.nat({ max: 20 }),
  });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(step), (input, steps) => {
    const reader = new ByteReader(input, "the whole", BIG);
    const integer = (value: number | bigint, octets: number) => value.toString(16).padStart(2 * octets, "0");
    let seen = "";
    try {
      for (const { kind, length } of steps) {
        if (kind === "bytes") seen += reader.bytes(length, "f").toHex();
        else if (kind === "part") seen += reader.part(length, "f").rest("f").toHex();
        else if (kind === "u8") seen += integer(reader.u8("f"), 1);
        else if (kind === "u16") seen += integer(reader.u16("f"), 2);
        else if (kind === "u32") seen += integer(reader.u32("f"), 4);
        else if (kind === "u64") seen += integer(reader.u64("f"), 8);
        else {
          const content = kind === "sized16" ? reader.sized16(length, "f") : reader.sized32(length, "f");
          assert.ok(content.length <= length);
          seen += integer(content.length, kind === "sized16" ? 2 : 4) + content.toHex();
        }
        assert.equal(seen, input.subarray(0, reader.offset).toHex());
        assert.equal(reader.remaining, input.length - reader.offset);
      }
      seen += reader.rest("f").toHex();
      reader.end();
      assert.equal(seen, input.toHex());
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/der", String(error));
    }
  }));
});

Deno.test("ByteReader.zeros() refuses every bit that is set", () => {
  for (let bit = 0; bit < 64; bit++) {
    const bytes = new Uint8Array(8);
    bytes[bit >> 3] = 1 << bit % 8;
    assert.throws(() => new ByteReader(bytes, "the whole", BIG).zeros(8, "reserved"), { code: "malformed/der" });
  }
  new ByteReader(new Uint8Array(8), "the whole", BIG).zeros(8, "reserved");
});
