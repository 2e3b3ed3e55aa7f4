import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import type { Adoption } from "./adoption_store.ts";
import { findAdoption, keepAdoption, readAdoption } from "./adoption_store.ts";
import { CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";

const adoption: Adoption = {
  foundings: ["one"],
  clusterDocument: "kubernetesVersion: v1.36.3\n",
  apiEndpoints: ["10.0.0.1:6443"],
  joinEndpoints: ["10.0.0.1:9444"],
};

Deno.test("keepAdoption() keeps what is read again, and the foundings of other operators", async () => {
  const api = new MemoryApi();
  assert.equal(await findAdoption(api), undefined);
  await keepAdoption(api, adoption);
  assert.deepEqual(await findAdoption(api), adoption);
  await keepAdoption(api, { ...adoption, foundings: ["two"], joinEndpoints: ["10.0.0.2:9444"] });
  await keepAdoption(api, { ...adoption, foundings: ["two"] });
  assert.deepEqual(await findAdoption(api), { ...adoption, foundings: ["one", "two"] });
});

Deno.test("keepAdoption() writes again when another operator was faster, and not for ever", async () => {
  const api = new MemoryApi();
  await keepAdoption(api, adoption);
  let others = 0;
  api.onChange = () => {
    if (others++ < 3) throw new BootstrapError("conflict/changed", "another writer");
  };
  await keepAdoption(api, { ...adoption, foundings: ["two"] });
  assert.deepEqual((await findAdoption(api))?.foundings, ["one", "two"]);
  api.onChange = () => {
    throw new BootstrapError("conflict/changed", "another writer");
  };
  await assert.rejects(keepAdoption(api, { ...adoption, foundings: ["three"] }), { code: "conflict/changed" });
});

Deno.test("readAdoption() refuses data of another form, names the field, and never crashes", async () => {
  const api = new MemoryApi();
  await keepAdoption(api, adoption);
  const data = api.objects.get(`${CONFIG_MAPS}/adoption`)?.data ?? assert.fail();
  for (const field of Object.keys(data)) {
    const { [field]: _, ...without } = data;
    assert.throws(() => readAdoption(without), ({ code, details }: BootstrapError) => {
      assert.equal(code, "malformed/adoption");
      assert.equal(details["field"], field);
      return true;
    });
  }
  for (const changes of [{ version: "2" }, { foundings: "[1]" }, { apiEndpoints: "x" }, { joinEndpoints: "{}" }]) {
    assert.throws(() => readAdoption({ ...data, ...changes }), { code: "malformed/adoption" });
  }
  fc.assert(fc.property(fc.dictionary(fc.constantFrom(...Object.keys(data)), fc.string()), (changes) => {
    try {
      readAdoption({ ...data, ...changes });
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/adoption", String(error));
    }
  }));
});
