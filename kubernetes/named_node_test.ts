import assert from "node:assert/strict";
import { ADMISSIONS, MemoryApi } from "./testing/memory_api.ts";
import { AdmissionRecords } from "./admission_records.ts";
import { findNamedNode } from "./named_node.ts";

const recordOf = (number: number, address: string) => ({
  ...{ identity: String(number).repeat(64), nodeName: `cp-${number}`, role: "control-plane", nodeKey: "" } as const,
  ...{ addresses: [address], evidenceDigest: "" },
});

Deno.test("findNamedNode() keeps a node's addresses that other records list without a claim", async () => {
  const api = new MemoryApi();
  const records = new AdmissionRecords(api);
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2"));
  const path = `${ADMISSIONS}/${recordOf(2, "").identity}`;
  const stored = api.objects.get(path);
  assert.ok(stored !== undefined);
  api.objects.set(path, { ...stored, spec: { ...stored.spec, addresses: ["10.0.0.1"] } });
  assert.deepEqual((await findNamedNode(api, "cp-1")).addresses, ["10.0.0.1"]);
});

Deno.test("findNamedNode() leaves out an address that another node has now", async () => {
  const api = new MemoryApi();
  const records = new AdmissionRecords(api);
  await records.admit(recordOf(2, "10.0.0.2"));
  const find = api.find.bind(api);
  const status = { addresses: ["10.0.0.1", "10.0.0.2"].map((address) => ({ type: "InternalIP", address })) };
  api.find = async (path, schema) => {
    if (path !== "/api/v1/nodes/cp-1") return await find(path, schema);
    const result = await schema["~standard"].validate({ metadata: { uid: "u" }, status });
    assert.ok(result.issues === undefined);
    return result.value;
  };
  assert.deepEqual((await findNamedNode(api, "cp-1")).addresses, ["10.0.0.1"]);
});
