import assert from "node:assert/strict";
import { BootstrapError, type ErrorCode } from "../platform/errors.ts";
import type { ConfigMapApi } from "./_config_maps.ts";
import { createPolicyConfigMap, findPolicyDocument } from "./policy_config_map.ts";

const PATH = "/api/v1/namespaces/kube-system/configmaps";
const never = () => Promise.reject(new Error("this must not be called"));

/** An API server with this object, or with this failure. It records the created objects. */
function apiWith(
  data: Readonly<Record<string, string>> | ErrorCode | undefined,
): ConfigMapApi & { created: unknown[] } {
  const created: unknown[] = [];
  const metadata = { name: "bootstrapper-policy", uid: "u", resourceVersion: "1" };
  const answer = async <T>(schema: Parameters<ConfigMapApi["find"]>[1], otherwise: T): Promise<T> => {
    if (typeof data === "string") throw new BootstrapError(data, "no");
    if (data === undefined) return otherwise;
    const result = await schema["~standard"].validate({ metadata, data });
    return result.issues === undefined ? result.value as T : assert.fail();
  };
  return {
    created,
    find: async (path, schema) => {
      assert.equal(path, `${PATH}/bootstrapper-policy`);
      return await answer(schema, undefined);
    },
    create: async (path, object, schema) => {
      assert.equal(path, PATH);
      created.push(object);
      const result = await schema["~standard"].validate({ metadata, data: {} });
      if (data !== undefined) {
        throw new BootstrapError(typeof data === "string" ? data : "conflict/already-exists", "no");
      }
      return result.issues === undefined ? result.value : assert.fail();
    },
    ...{ get: never, replace: never, remove: never },
  };
}

Deno.test("findPolicyDocument() returns the document, or undefined when there is no ConfigMap", async () => {
  assert.equal(await findPolicyDocument(apiWith({ "policy.yaml": "version: 1\n", more: "" })), "version: 1\n");
  assert.equal(await findPolicyDocument(apiWith(undefined)), undefined);
});

Deno.test("findPolicyDocument() refuses a ConfigMap without the key", async () => {
  await assert.rejects(findPolicyDocument(apiWith({ policy: "version: 1\n" })), { code: "usage/policy-config-map" });
  await assert.rejects(findPolicyDocument(apiWith("unauthorized/kubernetes-api")), {
    code: "unauthorized/kubernetes-api",
  });
});

Deno.test("createPolicyConfigMap() creates the ConfigMap, and does not change an existing one", async () => {
  const api = apiWith(undefined);
  await createPolicyConfigMap(api, "version: 1\n");
  assert.deepEqual(api.created, [
    { metadata: { name: "bootstrapper-policy" }, data: { "policy.yaml": "version: 1\n" } },
  ]);
  await createPolicyConfigMap(apiWith({ "policy.yaml": "another one" }), "version: 1\n");
  await assert.rejects(createPolicyConfigMap(apiWith("unavailable/kubernetes-api"), "version: 1\n"), {
    code: "unavailable/kubernetes-api",
  });
});
