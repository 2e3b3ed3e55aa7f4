import assert from "node:assert/strict";
import fc from "fast-check";
import { errorOf } from "../../testing/evidence.ts";
import { TpmReader, TpmWriter } from "./wire.ts";

Deno.test("TpmReader() gives back what TpmWriter() wrote", () => {
  const fields = fc.record({
    u8: fc.integer({ min: 0, max: 0xff }),
    u16: fc.integer({ min: 0, max: 0xffff }),
    u32: fc.integer({ min: 0, max: 0xffffffff }),
    bytes: fc.uint8Array({ maxLength: 50 }),
    sized: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(fc.property(fields, ({ u8, u16, u32, bytes, sized }) => {
    const written = new TpmWriter().u8(u8).u16(u16).u32(u32).sized(sized).bytes(bytes).done();
    const reader = new TpmReader(written, "test");
    assert.deepEqual([reader.u8(), reader.u16(), reader.u32()], [u8, u16, u32]);
    assert.deepEqual(reader.sized(300), Uint8Array.from(sized));
    assert.deepEqual(reader.bytes(bytes.length), Uint8Array.from(bytes));
    reader.end();
  }));
});

Deno.test("TpmWriter() writes most significant octets first", () => {
  const written = new TpmWriter().u16(0x0102).u32(0xff544347).sized(Uint8Array.of(9)).done();
  assert.equal(written.toHex(), "0102ff544347000109");
  assert.equal(new TpmReader(Uint8Array.fromHex("fffffffffffffffe"), "test").u64(), 0xfffffffffffffffen);
});

Deno.test("TpmReader() refuses fields that are cut off, too long, or followed by more", async () => {
  const cases: readonly [string, (reader: TpmReader) => unknown][] = [
    ["", (reader) => reader.u8()],
    ["00", (reader) => reader.u16()],
    ["000000", (reader) => reader.u32()],
    ["00000000000000", (reader) => reader.u64()],
    ["0003aabb", (reader) => reader.sized(10)],
    ["0003aabbcc", (reader) => reader.sized(2)],
    ["ffff", (reader) => reader.sized(0xffff)],
    ["00", (reader) => reader.end()],
  ];
  for (const [bytes, read] of cases) {
    const error = await errorOf(() => read(new TpmReader(Uint8Array.fromHex(bytes), "the field")));
    assert.equal(error.code, "malformed/tpm");
    assert.equal(error.details["field"], "the field");
  }
});

Deno.test("TpmWriter() refuses numbers that do not fit", async () => {
  for (
    const write of [
      (w: TpmWriter) => w.u8(256),
      (w: TpmWriter) => w.u16(-1),
      (w: TpmWriter) => w.u32(2 ** 32),
      (w: TpmWriter) => w.u8(1.5),
    ]
  ) {
    assert.equal((await errorOf(() => write(new TpmWriter()))).code, "internal/tpm-field");
  }
  assert.equal((await errorOf(() => new TpmWriter().sized(new Uint8Array(0x10000)))).code, "internal/tpm-field");
});
