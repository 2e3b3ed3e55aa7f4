import assert from "node:assert/strict";
import fc from "fast-check";
import {
  base64,
  compareBytes,
  concat,
  copyOf,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  hex,
  isZero,
  randomBytes,
  sha256,
  u32be,
  utf8,
} from "./bytes.ts";

const bytes = fc.uint8Array({ maxLength: 64 });
const of = (...values: number[]) => Uint8Array.from(values);

Deno.test("concat() gives the bytes one after the other, over a buffer of its own", () => {
  const first = of(1, 2);
  const all = concat(first, of(), of(3));
  first[0] = 9;
  assert.deepEqual(all, of(1, 2, 3));
  assert.deepEqual(concat(), of());
});

Deno.test("copyOf() returns bytes that do not change with the original", () => {
  const original = of(1, 2, 3);
  const copy = copyOf(original.subarray(1));
  original[1] = 9;
  assert.deepEqual(copy, of(2, 3));
  assert.equal(copy.buffer.byteLength, 2);
});

Deno.test("fromHex() reads what hex() writes, in either case of letters", () => {
  fc.assert(fc.property(bytes, (x) => {
    assert.deepEqual(fromHex(hex(x), "x"), copyOf(x));
    assert.deepEqual(fromHex(hex(x).toUpperCase(), "x"), copyOf(x));
  }));
});

Deno.test("fromHex() refuses what is not hexadecimal, and names the field", () => {
  for (const text of ["0", "0g", "0x00", " 00", "00\n", "é0", "-1"]) {
    assert.throws(() => fromHex(text, "key"), { code: "malformed/hex", message: /"key"/ }, text);
  }
});

Deno.test("fromBase64() reads what base64() writes", () => {
  fc.assert(fc.property(bytes, (x) => assert.deepEqual(fromBase64(base64(x), "x"), copyOf(x))));
});

Deno.test("fromBase64() refuses missing padding, other alphabets and white space, and names the field", () => {
  for (const text of ["AA", "AAA", "A===", "AA=", "AA==AA==", "_-==", "AA== ", "AAAA\n", "\nAAAA", "AA AA"]) {
    assert.throws(() => fromBase64(text, "key"), { code: "malformed/base64", message: /"key"/ }, JSON.stringify(text));
  }
});

Deno.test("fromUtf8() reads what utf8() writes, a byte order mark included", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (x) => assert.equal(fromUtf8(utf8(x), "x"), x)));
  assert.equal(fromUtf8(of(0xef, 0xbb, 0xbf, 0x41), "x"), "\ufeffA");
});

Deno.test("fromUtf8() refuses what is not UTF-8, and names the field", () => {
  for (const wrong of [of(0xff), of(0xc3), of(0xc0, 0x80), of(0xed, 0xa0, 0x80), of(0x41, 0x80)]) {
    assert.throws(() => fromUtf8(wrong, "name"), { code: "malformed/utf8", message: /"name"/ });
  }
});

Deno.test("equalBytes() is true only for equal bytes", () => {
  fc.assert(fc.property(bytes, bytes, (a, b) => {
    assert(equalBytes(a, copyOf(a)));
    assert.equal(equalBytes(a, b), hex(a) === hex(b));
    assert(!equalBytes(a, concat(a, of(0))));
  }));
});

Deno.test("compareBytes() orders as hexadecimal text does, shorter first", () => {
  fc.assert(fc.property(bytes, bytes, (a, b) => {
    const expected = hex(a) < hex(b) ? -1 : hex(a) > hex(b) ? 1 : 0;
    assert.equal(Math.sign(compareBytes(a, b)), expected);
  }));
});

Deno.test("isZero() is true only for zero bytes, and for an empty array", () => {
  assert(isZero(of()) && isZero(of(0, 0)));
  assert(!isZero(of(0, 1)) && !isZero(of(128, 0)));
});

Deno.test("u32be() gives the most significant byte first", () => {
  assert.deepEqual(u32be(0x01020304), of(1, 2, 3, 4));
  assert.deepEqual(u32be(0xffffffff), of(255, 255, 255, 255));
});

Deno.test("sha256() hashes its parts as one", async () => {
  // FIPS 180-4's example.
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(hex(await sha256(utf8("abc"))), abc);
  assert.equal(hex(await sha256(utf8("a"), of(), utf8("bc"))), abc);
});

Deno.test("randomBytes() returns the requested length, and different bytes each time", () => {
  assert.equal(randomBytes(0).length, 0);
  assert.equal(randomBytes(32).length, 32);
  assert.notDeepEqual(randomBytes(32), randomBytes(32));
});
