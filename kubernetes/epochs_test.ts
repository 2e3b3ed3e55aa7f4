import assert from "node:assert/strict";
import { MemoryApi } from "./testing/memory_api.ts";
import { currentEpoch } from "./epochs.ts";

const COLLECTION = "/api/v1/namespaces/bootstrapper-system/configmaps";

Deno.test("currentEpoch() is 1 in a cluster that never raised it", async () => {
  assert.equal(await currentEpoch(new MemoryApi()), 1);
});

Deno.test("currentEpoch() refuses a number of the wrong form, and names the field", async () => {
  for (const current of ["0", "-1", "01", "1e3", "", "9999999999"]) {
    const api = new MemoryApi();
    await api.create(COLLECTION, { metadata: { name: "epochs" }, data: { current } }, {
      "~standard": { validate: (value) => ({ value }) },
    });
    await assert.rejects(currentEpoch(api), ({ code, details }) => {
      assert.deepEqual([code, details.field], ["malformed/epochs", "current"]);
      return true;
    });
  }
});
