import assert from "node:assert/strict";
import fc from "fast-check";
import { isAtLeast, isSameTcb, readTcb, TCB_BYTES, type TcbForm, tcbText } from "./tcb.ts";

const fields: Readonly<Record<TcbForm, readonly number[]>> = { milan: [0, 1, 6, 7], turin: [0, 1, 2, 3, 7] };
const octets = (form: TcbForm) =>
  fc.uint8Array({ minLength: TCB_BYTES, maxLength: TCB_BYTES })
    .map((bytes) => bytes.map((byte, offset) => fields[form].includes(offset) ? byte : 0));

Deno.test("readTcb() reads the parts of either form", () => {
  const bytes = Uint8Array.of(1, 2, 0, 0, 0, 0, 7, 8);
  assert.deepEqual(readTcb(bytes, "milan", "TCB"), { bootloader: 1, tee: 2, snp: 7, microcode: 8 });
  const turin = readTcb(Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 8), "turin", "TCB");
  assert.deepEqual(turin, { fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 8 });
  assert.equal(tcbText(turin), "fmc 1, bootloader 2, tee 3, snp 4, microcode 8");
});

Deno.test("readTcb() refuses other lengths, and keeps parts without a name, which count like the others", () => {
  for (const form of ["milan", "turin"] as const) {
    for (let offset = 0; offset < TCB_BYTES; offset++) {
      const read = (value: number) => readTcb(new Uint8Array(TCB_BYTES).fill(value, offset, offset + 1), form, "TCB");
      const isNamed = fields[form].includes(offset);
      assert.deepEqual(read(1).unnamed, isNamed ? undefined : { [offset]: 1 });
      assert.equal(tcbText(read(1)).includes(`byte ${offset} 1`), !isNamed);
      assert.ok(isAtLeast(read(2), read(1)) && !isAtLeast(read(1), read(2)) && !isSameTcb(read(1), read(2)));
    }
    for (const length of [0, 7, 9]) {
      assert.throws(() => readTcb(new Uint8Array(length), form, "TCB"), { code: "malformed/snp-tcb" });
    }
  }
});

Deno.test("isAtLeast() compares part by part, never as one number", () => {
  for (const form of ["milan", "turin"] as const) {
    fc.assert(fc.property(octets(form), octets(form), (a, b) => {
      const [left, right] = [readTcb(a, form, "a"), readTcb(b, form, "b")];
      assert.equal(isAtLeast(left, right), a.every((byte, offset) => byte >= (b[offset] ?? 0)));
      assert.equal(isSameTcb(left, right), a.every((byte, offset) => byte === b[offset]));
    }));
  }
});

Deno.test("isAtLeast() counts a missing part as 0", () => {
  const milan = { bootloader: 1, tee: 1, snp: 1, microcode: 1 };
  assert.ok(isAtLeast({ ...milan, fmc: 0 }, milan));
  assert.ok(!isAtLeast(milan, { ...milan, fmc: 1 }));
  assert.ok(!isSameTcb(milan, { ...milan, fmc: 0 }));
});
