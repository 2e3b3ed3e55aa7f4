import assert from "node:assert/strict";
import { errorOf } from "../../testing/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import { snpRegisters } from "./registers.ts";
import { createSoftwareAmd, HOST_DATA } from "./testing/snp.ts";

const zero = new Uint8Array(32);

Deno.test("snpRegisters() reads HOST_DATA, and refuses to extend it if the host gave none", async () => {
  const amd = await createSoftwareAmd();
  const registers = snpRegisters(async ({ reportData }) => ({
    outblob: await amd.report({ 0x50: reportData }),
    auxblob: new Uint8Array(),
  }));
  assert.deepEqual(await registers.read(TRUST_REGISTER), HOST_DATA);
  assert.equal((await errorOf(() => registers.extend(TRUST_REGISTER, zero))).code, "precondition/host-data");
});

Deno.test("snpRegisters() has no register that shows a lock", async () => {
  const registers = snpRegisters(() => Promise.reject(new Error("no report is needed")));
  await registers.extend(LOCK_REGISTER, zero);
  assert.deepEqual(await registers.read(LOCK_REGISTER), zero);
});
