import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import { BootstrapError } from "./errors.ts";

const error = (what: string, reason: string) => new BootstrapError("malformed/der", `${what}: ${reason}`);

Deno.test("ByteWriter() puts octets in its order", () => {
  const write = (order: "big-endian" | "little-endian") =>
    new ByteWriter(order).u8(1).u16(0x0203).u32(0xff544347).sized16(Uint8Array.of(9)).sized32(Uint8Array.of(8)).done();
  assert.equal(write("big-endian").toHex(), "010203ff544347" + "000109" + "0000000108");
  assert.equal(write("little-endian").toHex(), "010302474354ff" + "010009" + "0100000008");
});

Deno.test("ByteReader() gives back what ByteWriter() wrote", () => {
  const fields = fc.record({
    order: fc.constantFrom("big-endian" as const, "little-endian" as const),
    u8: fc.integer({ min: 0, max: 0xff }),
    u16: fc.integer({ min: 0, max: 0xffff }),
    u32: fc.integer({ min: 0, max: 0xffffffff }),
    bytes: fc.uint8Array({ maxLength: 50 }),
    sized: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(fc.property(fields, ({ order, u8, u16, u32, bytes, sized }) => {
    const written = new ByteWriter(order).u8(u8).u16(u16).u32(u32).sized16(sized).bytes(bytes).sized32(sized).done();
    const reader = new ByteReader(written, "test", { order, error });
    assert.deepEqual([reader.u8("a"), reader.u16("b"), reader.u32("c")], [u8, u16, u32]);
    assert.deepEqual(reader.sized16(300, "d"), Uint8Array.from(sized));
    assert.deepEqual(reader.bytes(bytes.length, "e"), Uint8Array.from(bytes));
    assert.deepEqual(reader.sized32(300, "f"), Uint8Array.from(sized));
    reader.end();
  }));
});

Deno.test("ByteWriter() refuses numbers that do not fit", () => {
  for (
    const write of [
      (w: ByteWriter) => w.u8(256),
      (w: ByteWriter) => w.u16(-1),
      (w: ByteWriter) => w.u32(2 ** 32),
      (w: ByteWriter) => w.u8(1.5),
      (w: ByteWriter) => w.sized16(new Uint8Array(0x10000)),
    ]
  ) {
    assert.throws(() => write(new ByteWriter("big-endian")), { code: "internal/byte-field" });
  }
});
