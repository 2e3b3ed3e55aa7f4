import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { AdmissionRecords } from "./admission_records.ts";
import { migrateRecords } from "./records_migration.ts";
import { ADMISSIONS, CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";

const accept = { "~standard": { validate: (value: unknown) => ({ value }) } };
const identityOf = (number: number) => String(number).repeat(64);

/** Creates what version 0.1.0 kept of an admitted node. */
async function createLegacy(api: MemoryApi, number: number, changed: Record<string, string> = {}): Promise<void> {
  const address = `10.0.0.${number}`;
  const data = {
    ...{ identity: identityOf(number), nodeName: `node-${number}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses: JSON.stringify([address]), evidenceDigest: "00", resetCount: String(number), ...changed },
  };
  for (const name of [`identity-${identityOf(number)}`, `node-${data.nodeName}`]) {
    await api.create(CONFIG_MAPS, { metadata: { name }, data }, accept);
  }
  const claim = { identity: data.identity, nodeName: data.nodeName };
  await api.create(CONFIG_MAPS, { metadata: { name: `address-${address}` }, data: claim }, accept);
}

Deno.test("migrateRecords() turns ConfigMaps into records with which a node asks again, and runs again", async () => {
  const api = new MemoryApi();
  const records = new AdmissionRecords(api);
  await createLegacy(api, 1);
  await createLegacy(api, 2, { role: "control-plane" });
  assert.deepEqual(await migrateRecords(api), { migrated: 2, left: [] });
  assert.deepEqual(api.names(CONFIG_MAPS), ["node-node-1", "address-10.0.0.1", "node-node-2", "address-10.0.0.2"]);
  assert.equal((await records.byName("node-2"))?.role, "control-plane");
  assert.equal((await records.byAddress("10.0.0.1"))?.nodeName, "node-1");
  assert.deepEqual(await migrateRecords(api), { migrated: 0, left: [] });
  const before = await records.find(identityOf(1));
  assert.ok(before !== undefined);
  assert.equal(before.resetCount, 1);
  assert.deepEqual((await records.admit({ ...before, nodeKey: "BBBB" })).before, before);
  await assert.rejects(records.admit({ ...before, nodeName: "other" }), { code: "conflict/identity" });
});

Deno.test("migrateRecords() ends with the same records when it was killed at any change", async () => {
  for (let killAt = 0, isKilled = true; isKilled; killAt++) {
    const api = new MemoryApi();
    for (const number of [1, 2, 3]) await createLegacy(api, number);
    let changes = 0;
    isKilled = false;
    api.onChange = () => {
      if (changes++ !== killAt) return;
      isKilled = true;
      throw new BootstrapError("unavailable/kubernetes-api", "killed");
    };
    await migrateRecords(api).catch((error) => assert.equal(error.code, "unavailable/records"));
    api.onChange = () => {};
    await migrateRecords(api);
    assert.deepEqual(api.names(ADMISSIONS).sort(), [1, 2, 3].map(identityOf));
    assert.equal(api.names(CONFIG_MAPS).length, 6);
  }
});

Deno.test("migrateRecords() leaves a record that the API server refuses, and goes on with the others", async () => {
  const api = new MemoryApi();
  for (const number of [1, 2]) await createLegacy(api, number);
  api.onChange = () => {
    api.onChange = () => {};
    throw new BootstrapError("malformed/kubernetes-api", "POST was refused with 422: nodeName is too long");
  };
  const { migrated, left } = await migrateRecords(api);
  assert.equal(migrated, 1);
  assert.deepEqual(left.map(({ code, details }) => [code, details.record]), [
    ["malformed/admission-record", `identity-${identityOf(1)}`],
  ]);
  assert.deepEqual(api.names(ADMISSIONS), [identityOf(2)]);
});

Deno.test("several join services migrate at once", async () => {
  const api = new MemoryApi();
  for (const number of [1, 2, 3]) await createLegacy(api, number);
  await Promise.all([1, 2, 3].map(() => migrateRecords(api)));
  assert.deepEqual(api.names(ADMISSIONS).sort(), [1, 2, 3].map(identityOf));
  assert.equal(api.names(CONFIG_MAPS).length, 6);
});

Deno.test("migrateRecords() leaves and names a ConfigMap that is no record, or disagrees with a later record", async () => {
  const api = new MemoryApi();
  await createLegacy(api, 1, { role: "admin" });
  await createLegacy(api, 2);
  await new AdmissionRecords(api).admit({
    ...{ identity: identityOf(2), nodeName: "other", role: "worker", nodeKey: "", addresses: [], evidenceDigest: "" },
  });
  const { migrated, left } = await migrateRecords(api);
  assert.equal(migrated, 0);
  assert.deepEqual(left.map(({ details }) => details["field"]), ["role", "nodeName"]);
  assert.ok(api.names(CONFIG_MAPS).includes(`identity-${identityOf(1)}`));
  assert.equal((await new AdmissionRecords(api).find(identityOf(2)))?.nodeName, "other");
});

Deno.test("migrateRecords() leaves and names a ConfigMap whose record the API server refuses, and migrates the others", async () => {
  const api = new MemoryApi();
  for (const number of [1, 2, 3]) await createLegacy(api, number);
  const create = api.create.bind(api);
  api.create = (path, object, schema) =>
    path === ADMISSIONS && (object as { metadata: { name: string } }).metadata.name === identityOf(2)
      ? Promise.reject(new BootstrapError("malformed/kubernetes-api", "spec.nodeKey is too long"))
      : create(path, object, schema);
  const { migrated, left } = await migrateRecords(api);
  assert.equal(migrated, 2);
  assert.deepEqual(left.map(({ code, details }) => [code, details["record"]]), [
    ["malformed/admission-record", `identity-${identityOf(2)}`],
  ]);
  assert.deepEqual(api.names(ADMISSIONS), [identityOf(1), identityOf(3)]);
  assert.ok(api.names(CONFIG_MAPS).includes(`identity-${identityOf(2)}`));
});

Deno.test("migrateRecords() says what to apply when the API server does not have the kind", async () => {
  const api = new MemoryApi();
  const get = api.get.bind(api);
  api.get = (path, schema) =>
    path.startsWith(ADMISSIONS)
      ? Promise.reject(new BootstrapError("precondition/not-found", "the server could not find it"))
      : get(path, schema);
  await assert.rejects(migrateRecords(api), ({ code, retriable, next }) => {
    assert.deepEqual([code, retriable], ["unavailable/records", true]);
    assert.match(next, /nodeadmissions\.yaml/);
    return true;
  });
});
