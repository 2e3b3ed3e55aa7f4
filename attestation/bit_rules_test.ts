import assert from "node:assert/strict";
import fc from "fast-check";
import { bitsText, hasBit, judgeBits, setBits } from "./bit_rules.ts";

const NAMES = { smt: 0, ecc: 2 } as const;

Deno.test("bitsText() names set bits, and numbers those without a name", () => {
  assert.equal(bitsText(0x5n, [], NAMES), "smt, ecc");
  assert.equal(bitsText(0x41n, [6], NAMES), "smt, bit 6");
  assert.equal(bitsText(0n, [], NAMES), "none");
});

Deno.test("judgeBits() refuses what a rule names, and nothing else", () => {
  const judge = (value: bigint, rules: Parameters<typeof judgeBits<keyof typeof NAMES>>[3]) =>
    judgeBits(value, setBits(value).filter((bit) => bit !== 0 && bit !== 2), NAMES, rules).wrong;
  assert.equal(judge(0x45n, { required: [], forbidden: [] }), "");
  assert.equal(judge(0x45n, { required: ["smt", 7], forbidden: ["ecc", 6] }), "bit 7, ecc, bit 6");
  assert.equal(judge(0x45n, { required: ["smt"], forbidden: [], allowed: [6] }), "ecc");
  assert.equal(judge(0x41n, { required: ["smt"], forbidden: [], allowed: [6] }), "");
});

Deno.test("setBits() lists exactly the bits that hasBit() finds", () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
    const bits = setBits(value);
    assert.equal(bits.reduce((sum, bit) => sum | 1n << BigInt(bit), 0n), value);
    assert.ok(bits.every((bit) => hasBit(value, bit)));
  }));
});
