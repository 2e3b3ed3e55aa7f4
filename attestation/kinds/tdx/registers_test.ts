import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { errorOf } from "../../testing/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import { tdxLockRegister, tdxMeasurementRegisters } from "./registers.ts";
import type { TdxRegisters } from "./rtmr.ts";
import { filled } from "./testing/tdx.ts";

const extended: Bytes[] = [];
const td: TdxRegisters = {
  configId: () => Promise.resolve(filled(48, 7)),
  read: () => Promise.resolve(filled(48, 0)),
  extend: (_, digest) => Promise.resolve(void extended.push(filled(32, digest[0] ?? 0))),
};

Deno.test("tdxMeasurementRegisters() reads MRCONFIGID, and refuses to extend it if the host gave none", async () => {
  const registers = tdxMeasurementRegisters(td);
  assert.deepEqual(await registers.read(TRUST_REGISTER), filled(48, 7));
  const error = await errorOf(() => registers.extend(TRUST_REGISTER, filled(32, 1)));
  assert.equal(error.code, "precondition/mrconfigid");
});

Deno.test("tdxMeasurementRegisters() extends RTMR 3 by the lock, and refuses other registers", async () => {
  const registers = tdxMeasurementRegisters(td);
  await registers.extend(LOCK_REGISTER, filled(32, 15));
  assert.deepEqual(extended, [filled(32, 15)]);
  assert.equal((await errorOf(() => registers.read(4))).code, "internal/register");
  assert.equal((await errorOf(() => registers.extend(4, filled(32, 1)))).code, "internal/register");
});

Deno.test("tdxLockRegister() extends RTMR 3 by the lock, and passes over MRCONFIGID, which only the host can set", async () => {
  const registers = tdxLockRegister(td);
  const before = extended.length;
  await registers.extend(TRUST_REGISTER, filled(32, 12));
  assert.deepEqual(await registers.read(TRUST_REGISTER), await registers.extended?.(TRUST_REGISTER, filled(32, 12)));
  await registers.extend(LOCK_REGISTER, filled(32, 16));
  assert.deepEqual(extended.slice(before), [filled(32, 16)]);
  assert.deepEqual(await registers.read(LOCK_REGISTER), filled(48, 0));
  assert.notDeepEqual(await registers.extended?.(LOCK_REGISTER, filled(32, 16)), filled(48, 0));
});
