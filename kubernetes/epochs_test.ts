import assert from "node:assert/strict";
import fc from "fast-check";
import { LARGEST_EPOCH } from "../certificate/subjects.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MOST_EPOCHS } from "./authorization_configuration.ts";
import { acceptedEpochs, currentEpoch, endEpochsBefore, raiseEpoch, readEpochs } from "./epochs.ts";
import { CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";

const accept = { "~standard": { validate: (value: unknown) => ({ value }) } };

Deno.test("currentEpoch() is 1 in a cluster that never raised it", async () => {
  assert.equal(await currentEpoch(new MemoryApi()), 1);
});

Deno.test("readEpochs() refuses a field of the wrong form, and names it", async () => {
  const ending = JSON.stringify([{ epoch: 2, until: "2026-01-01T00:00:00.000Z" }]);
  const wrong: readonly (readonly [string, Record<string, string>])[] = [
    ...["0", "-1", "01", "1e3", "", String(LARGEST_EPOCH), String(LARGEST_EPOCH + 1)].map((current) =>
      ["current", { current, ending: "[]" }] as const
    ),
    ["current", { ending: "[]" }],
    ["ending", { current: "1" }],
    ["ending", { current: "1", ending: "{}" }],
    ["ending", { current: "1", ending: "[" }],
    ["ending", { current: "2", ending }],
    ["ending.0.until", { current: "3", ending: ending.replace("2026-01-01T00:00:00.000Z", "soon") }],
    ["ending", {
      current: "99",
      ending: JSON.stringify(
        Array.from(
          { length: MOST_EPOCHS - 1 },
          (_, epoch) => ({ epoch: epoch + 1, until: "2026-01-01T00:00:00.000Z" }),
        ),
      ),
    }],
  ];
  for (const [field, data] of wrong) {
    const api = new MemoryApi();
    await api.create(CONFIG_MAPS, { metadata: { name: "epochs" }, data }, accept);
    await assert.rejects(readEpochs(api), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/epochs", String(error));
      assert.equal(error.details["field"], field);
      return true;
    });
  }
});

Deno.test("raiseEpoch() accepts the epoch before until its end, and the next one in advance", async () => {
  const api = new MemoryApi();
  assert.deepEqual(acceptedEpochs(await readEpochs(api), 0), [1, 2]);
  const raised = await raiseEpoch(api, 1, 1_000);
  assert.deepEqual(raised, { current: 2, ending: [{ epoch: 1, untilMs: 1_000 }] });
  assert.deepEqual(await readEpochs(api), raised);
  assert.deepEqual(acceptedEpochs(raised, 999), [1, 2, 3]);
  assert.deepEqual(acceptedEpochs(raised, 1_000), [2, 3]);
  assert.deepEqual(await raiseEpoch(api, 1, 1_000), raised, "another join service has raised it");
  assert.deepEqual(await raiseEpoch(api, 2, 0), { current: 3, ending: [] });
  assert.equal(await currentEpoch(api), 3);
});

Deno.test("raiseEpoch() ends the caller's epoch at once, also where another one has raised it meanwhile", async () => {
  const api = new MemoryApi();
  for (const epoch of [1, 2, 3]) await raiseEpoch(api, epoch, 9_000);
  const ended = await raiseEpoch(api, 2, 0);
  assert.deepEqual(ended, { current: 4, ending: [{ epoch: 3, untilMs: 9_000 }] });
  assert.deepEqual(await readEpochs(api), ended);
  assert.deepEqual(await raiseEpoch(api, 2, 0), ended);
});

Deno.test("endEpochsBefore() ends earlier epochs, and never the current one", async () => {
  const api = new MemoryApi();
  for (const epoch of [1, 2, 3]) await raiseEpoch(api, epoch, epoch * 1_000);
  assert.deepEqual((await endEpochsBefore(api, 2)).ending.map(({ epoch }) => epoch), [2, 3]);
  assert.deepEqual(await endEpochsBefore(api, 9), { current: 4, ending: [] });
  assert.deepEqual(acceptedEpochs(await readEpochs(api), 0), [4, 5]);
});

Deno.test("raises in any order and number never accept more epochs than an API server's file may have", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2 ** 40), { maxLength: 30 }), async (ends) => {
      const api = new MemoryApi();
      for (const untilMs of ends) await raiseEpoch(api, await currentEpoch(api), untilMs);
      const accepted = acceptedEpochs(await readEpochs(api), 0);
      assert.ok(accepted.length <= MOST_EPOCHS && accepted.includes(ends.length + 1));
      assert.deepEqual(accepted, [...accepted].sort((a, b) => a - b));
    }),
    { numRuns: 30 },
  );
});

Deno.test("raiseEpoch() gives up when other writers never stop", async () => {
  const api = new MemoryApi();
  await raiseEpoch(api, 1, 1_000);
  api.replace = () => Promise.reject(new BootstrapError("conflict/changed", "changed"));
  await assert.rejects(raiseEpoch(api, 2, 1_000), { code: "unavailable/epochs", retriable: true });
});
