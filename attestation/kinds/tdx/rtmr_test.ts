import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, hex } from "../../../platform/bytes.ts";
import { createTdxRegisters, extendedRtmr, padded, systemRegisterFiles, TDX_LOCK_REGISTER } from "./rtmr.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";

const D15 = filled(32, 0x15);

/** A register that behaves like one of the TDX module. */
function createFakeFiles() {
  const values = new Map<string, Bytes>([["mrconfigid", filled(48, 7)], ["rtmr3:sha384", filled(48, 0)]]);
  return {
    read: (name: string) => Promise.resolve(values.get(name) ?? new Uint8Array()),
    write(name: string, bytes: Uint8Array) {
      const before = values.get(name);
      if (before === undefined || bytes.length !== 48) return Promise.reject(new Error("EINVAL"));
      values.set(name, copyOf(createHash("sha384").update(concat(before, bytes)).digest()));
      return Promise.resolve();
    },
  };
}

Deno.test("extendedRtmr() equals the value of a register that was extended by a digest", async () => {
  const registers = createTdxRegisters(createFakeFiles());
  assert.deepEqual(await registers.read(TDX_LOCK_REGISTER), filled(48, 0));
  await registers.extend(TDX_LOCK_REGISTER, D15);
  const expected = createHash("sha384").update(concat(filled(48, 0), D15, filled(16, 0))).digest("hex");
  assert.equal(hex(await registers.read(TDX_LOCK_REGISTER)), expected);
  assert.equal(hex(await extendedRtmr(D15)), expected);
  assert.deepEqual(await registers.configId(), filled(48, 7));
});

Deno.test("padded() accepts only digests of 32 bytes", async () => {
  assert.deepEqual(padded(D15), concat(D15, filled(16, 0)));
  for (const length of [0, 31, 33, 48]) {
    assert.equal((await errorOf(() => padded(filled(length, 1)))).code, "internal/digest");
  }
});

Deno.test("createTdxRegisters() says what to do when the kernel has no registers, or malformed ones", async () => {
  const folder = await Deno.makeTempDir();
  const registers = createTdxRegisters(systemRegisterFiles(folder));
  const missing = await errorOf(() => registers.read(3));
  assert.equal(missing.code, "system/tdx-register");
  assert.match(missing.next, /6\.16/);
  assert.equal((await errorOf(() => registers.extend(3, D15))).code, "system/tdx-register");
  await Deno.writeFile(`${folder}/rtmr3:sha384`, filled(47, 0));
  assert.equal((await errorOf(() => registers.read(3))).code, "system/tdx-register");
  await registers.extend(3, D15);
  assert.deepEqual((await Deno.readFile(`${folder}/rtmr3:sha384`)).slice(0, 48), padded(D15));
  await Deno.remove(folder, { recursive: true });
});
