import assert from "node:assert/strict";
import fc from "fast-check";
import { CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";
import type { RemovalAnswer, RemovalRequest } from "./removal_requests.ts";
import { checkNotBeingRemoved, RemovalRequests } from "./removal_requests.ts";

const REQUEST: RemovalRequest = {
  ...{ nodeName: "cp-2", role: "control-plane", identity: "ab".repeat(32), nodeUid: "u-1" },
  ...{ addresses: ["10.0.0.2", "fd00::2"], requestedAt: "2026-01-01T00:00:00.000Z" },
};
const REFUSED: RemovalAnswer = { state: "refused", code: "precondition/etcd-quorum", message: "No.", next: "Wait" };

Deno.test("RemovalRequests restores requests and answers", async () => {
  const requests = new RemovalRequests(new MemoryApi());
  assert.equal(await requests.find("cp-2"), undefined);
  let stored = await requests.create(REQUEST);
  assert.deepEqual(stored.request, REQUEST);
  assert.equal(stored.answer, undefined);
  for (const answer of [REFUSED, { state: "removed" }, { state: "absent" }, undefined] as const) {
    assert.deepEqual((await requests.listWaiting()).length, stored.answer === undefined ? 1 : 0);
    stored = await requests.answer(stored, answer);
    assert.deepEqual((await requests.find("cp-2"))?.answer, answer);
  }
  assert.deepEqual((await requests.listWaiting()).map(({ request }) => request), [REQUEST]);
});

Deno.test("RemovalRequests lets one of several clients change a request, and none a newer one", async () => {
  const requests = new RemovalRequests(new MemoryApi());
  const first = await requests.create(REQUEST);
  await assert.rejects(requests.create(REQUEST), { code: "conflict/already-exists" });
  await requests.answer(first, { state: "removed" });
  await assert.rejects(requests.answer(first, { state: "absent" }), { code: "conflict/changed" });
  assert.equal(await requests.remove(first), true);
  assert.equal(await requests.remove(first), false);
  await assert.rejects(requests.answer(first, { state: "absent" }), { code: "precondition/not-found" });
  await requests.create(REQUEST);
  assert.equal(await requests.remove(first), false);
  assert.notEqual(await requests.find("cp-2"), undefined);
});

Deno.test("checkNotBeingRemoved() refuses exactly the name that is being removed", async () => {
  const api = new MemoryApi();
  await new RemovalRequests(api).create(REQUEST);
  await assert.rejects(checkNotBeingRemoved(api, "cp-2"), { code: "unavailable/node-removal", retriable: true });
  await checkNotBeingRemoved(api, "cp-3");
});

Deno.test("RemovalRequests names the field of a malformed ConfigMap, and does not list it", async () => {
  const api = new MemoryApi();
  const requests = new RemovalRequests(api);
  const stored = await requests.answer(await requests.create(REQUEST), REFUSED);
  const good = api.objects.get(`${CONFIG_MAPS}/removal-cp-2`);
  assert.ok(good !== undefined);
  const bad: readonly (readonly [string, string | undefined])[] = [
    ...["version", "nodeName", "role", "identity", "nodeUid", "addresses", "requestedAt", "state", "code", "message"]
      .map((field) => [field, undefined] as const),
    ...[["version", "2"], ["nodeName", "cp_2"], ["nodeName", "cp-3"], ["role", "etcd"], ["identity", "AB"]] as const,
    ...[["addresses", "{}"], ["addresses", "[1]"], ["addresses", "["], ["requestedAt", "now"], [
      "state",
      "done",
    ]] as const,
    ...[["code", "bogus/x"], ["code", "precondition/"], ["message", "x".repeat(1001)]] as const,
  ];
  for (const [field, value] of bad) {
    const { [field]: _, ...rest } = good.data;
    api.objects.set(`${CONFIG_MAPS}/removal-cp-2`, {
      ...good,
      data: value === undefined ? rest : { ...rest, [field]: value },
    });
    await assert.rejects(requests.find("cp-2"), ({ code, details }) => {
      assert.equal(code, "malformed/node-removal");
      assert.equal(details.field.split(".")[0], field);
      return true;
    });
    assert.deepEqual(await requests.listWaiting(), []);
  }
  assert.equal(await requests.remove(stored), true);
});

Deno.test("RemovalRequests reads a request or throws malformed/node-removal for any data", async () => {
  await fc.assert(fc.asyncProperty(
    fc.constantFrom("nodeName", "role", "identity", "addresses", "requestedAt", "state", "version", "extra"),
    fc.oneof(fc.string(), fc.json(), fc.constantFrom("requested", "removed", "refused")),
    async (field, value) => {
      const api = new MemoryApi();
      const requests = new RemovalRequests(api);
      await requests.create(REQUEST);
      const good = api.objects.get(`${CONFIG_MAPS}/removal-cp-2`);
      assert.ok(good !== undefined);
      api.objects.set(`${CONFIG_MAPS}/removal-cp-2`, { ...good, data: { ...good.data, [field]: value } });
      const found = await requests.find("cp-2").catch((error) => assert.equal(error.code, "malformed/node-removal"));
      if (found) assert.equal(found.request.nodeName, "cp-2");
    },
  ));
});
