import assert from "node:assert/strict";
import { TpmTransportError } from "../attestation/kinds/tpm/transport.ts";
import { readMeasurementRecord } from "../node/measurement_record.ts";
import { nodePaths } from "../node/paths.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { Measuring } from "./measuring.ts";

const BOOT_ID = "00112233-4455-6677-8899-aabbccddeeff";
const silent = new BootstrapError("system/tpm-silent", "The TPM did not answer");
const cut = new TpmTransportError("The TPM's answer is cut", false);
const busy = new TpmTransportError("The TPM is busy", true);

async function withMeasuring(
  run: (measuring: Measuring, record: () => ReturnType<typeof readMeasurementRecord>) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const paths = nodePaths(root);
    const { clock } = sleepingClock();
    await run(new Measuring({ clock, log: silentLog, paths }, BOOT_ID), () => readMeasurementRecord(paths.state));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Work that fails with each of the errors in turn, and then succeeds. */
function failing(...errors: readonly BootstrapError[]) {
  const left = [...errors];
  let tries = 0;
  const work = () => {
    tries++;
    const error = left.shift();
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  };
  return { work, tries: () => tries };
}

Deno.test("Measuring opens a machine anew after each failure, also when its TPM was silent or broke in the middle", () =>
  withMeasuring(async (measuring, record) => {
    const { work, tries } = failing(silent, cut, busy);
    await measuring.opened(work);
    await measuring.done();
    assert.equal(tries(), 4);
    assert.deepEqual(await record(), {
      ...{ version: 2, time: (await record())?.time, tries: 3, bootId: BOOT_ID },
    });
  }));

Deno.test("Measuring ends at once when the device that it measures into cannot be used any more, and records why", async () => {
  for (const error of [silent, cut, new BootstrapError("system/device", "It ended")]) {
    await withMeasuring(async (measuring, record) => {
      const { work, tries } = failing(error, busy);
      await assert.rejects(measuring.measured(work), error);
      assert.equal(tries(), 1);
      assert.equal((await record())?.error?.message, error.message);
    });
  }
});

Deno.test("Measuring tries again what may pass on the same connection", () =>
  withMeasuring(async (measuring) => {
    const { work, tries } = failing(busy, new BootstrapError("system/file", "The disk is busy"));
    await measuring.measured(work);
    assert.equal(tries(), 3);
  }));
