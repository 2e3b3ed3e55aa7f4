import { TPM_SETTINGS } from "../attestation/testing/trust.ts";
import { deepEqual, rejects } from "node:assert/strict";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import { extendedOnce, lockDigest, trustDigest } from "../protocol/transcript.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MemoryRegisters } from "./testing/memory_registers.ts";
import { checkNeverLocked, measureLock, measureTrust } from "./measure.ts";

const clusterId = new Uint8Array(32).fill(7);
const trust = {
  clusterName: "blue",
  clusterId: new Uint8Array(),
  operatorKeys: [new Uint8Array([1])],
  ...TPM_SETTINGS,
};
const zero = "00".repeat(32);

Deno.test("measureLock() extends once, when PCR 15 is zero", async () => {
  const registers = new MemoryRegisters();
  await measureLock(registers, clusterId);
  await measureLock(registers, clusterId);
  deepEqual(await registers.read(LOCK_REGISTER), await extendedOnce(await lockDigest(clusterId)));
  deepEqual(registers.extensions, 1);
});

Deno.test("measureTrust() extends once, when PCR 12 is zero", async () => {
  const registers = new MemoryRegisters();
  await measureTrust(registers, trust);
  await measureTrust(registers, trust);
  deepEqual(await registers.read(TRUST_REGISTER), await extendedOnce(await trustDigest(trust)));
  deepEqual(registers.extensions, 1);
});

Deno.test("measureLock() rejects and shows the value when PCR 15 holds another value", async () => {
  const registers = new MemoryRegisters();
  await measureLock(registers, new Uint8Array(32).fill(8));
  const seen = (await registers.read(LOCK_REGISTER)).toHex();
  const expected = (await extendedOnce(await lockDigest(clusterId))).toHex();
  await rejects(measureLock(registers, clusterId), {
    code: "precondition/register",
    message: new RegExp(`PCR 15 holds ${seen}`),
    details: { register: "15", expected, seen },
  });
  deepEqual(registers.extensions, 1);
});

Deno.test("measureTrust() measures the founding of a trust part", async () => {
  const registers = new MemoryRegisters();
  const founding = { size: 3, policyDigest: new Uint8Array(32).fill(1), tokenKey: new Uint8Array() };
  await measureTrust(registers, { ...trust, founding });
  deepEqual(await registers.read(TRUST_REGISTER), await extendedOnce(await trustDigest({ ...trust, founding })));
  await rejects(measureTrust(registers, trust), { code: "precondition/register" });
});

Deno.test("measureTrust() rejects when PCR 12 holds another trust part", async () => {
  const registers = new MemoryRegisters();
  await measureTrust(registers, { ...trust, clusterName: "green" });
  await rejects(measureTrust(registers, trust), { code: "precondition/register", message: /PCR 12 holds/ });
  deepEqual(registers.extensions, 1);
});

Deno.test("measureLock() rejects when the register does not keep the value", async () => {
  const registers = new MemoryRegisters();
  registers.extend = () => Promise.resolve();
  await rejects(measureLock(registers, clusterId), { code: "precondition/register", message: new RegExp(zero) });
});

Deno.test("checkNeverLocked() rejects and shows the value when PCR 15 is not zero", async () => {
  const registers = new MemoryRegisters();
  await checkNeverLocked(registers);
  await measureLock(registers, clusterId);
  const seen = (await registers.read(LOCK_REGISTER)).toHex();
  await rejects(checkNeverLocked(registers), {
    code: "precondition/lock-missing",
    details: { register: "15", expected: zero, seen },
  });
});

Deno.test("measureLock() extends once when the device fails once, whether or not the register was extended", async () => {
  const expected = await extendedOnce(await lockDigest(clusterId));
  for (const isExtended of [true, false]) {
    const registers = new MemoryRegisters();
    const extend = registers.extend.bind(registers);
    let failures = 0;
    registers.extend = async (index, digest) => {
      if (failures++ > 0) return await extend(index, digest);
      if (isExtended) await extend(index, digest);
      throw new BootstrapError("system/tpm-transport", "Cannot talk to the TPM: EIO");
    };
    await measureLock(registers, clusterId);
    deepEqual(await registers.read(LOCK_REGISTER), expected);
    deepEqual(registers.extensions, 1);
  }
});

Deno.test("measureLock() rejects with the device's error when it goes on failing", async () => {
  const registers = new MemoryRegisters();
  registers.extend = () => Promise.reject(new BootstrapError("system/tpm-transport", "Cannot talk to the TPM: EIO"));
  await rejects(measureLock(registers, clusterId), { code: "system/tpm-transport" });
});
