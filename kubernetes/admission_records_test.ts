/**
 * Tests of address claims. `tests/integration/kubernetes/kubernetes_records_test.ts` tests the records against a real
 * API server.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { MemoryConfigMaps } from "./testing/memory_config_maps.ts";
import { type AdmissionRecord, AdmissionRecords } from "./admission_records.ts";

function recordOf(number: number, ...addresses: readonly string[]): AdmissionRecord {
  return {
    ...{ identity: number.toString(16).padStart(64, "0"), nodeName: `node-${number}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses, evidenceDigest: "00" },
  };
}

function newRecords(): { readonly api: MemoryConfigMaps; readonly records: AdmissionRecords } {
  const api = new MemoryConfigMaps();
  return { api, records: new AdmissionRecords(api) };
}

const claimsIn = (api: MemoryConfigMaps) =>
  Object.fromEntries(
    [...api.stored.values()].filter(({ metadata }) => metadata.name.startsWith("address-"))
      .map(({ metadata, data }) => [metadata.name.slice("address-".length), data["nodeName"]]),
  );

/** Kills the work at the change of that number, counted from 0. Returns whether the work got that far. */
async function killedAt(api: MemoryConfigMaps, change: number, work: () => Promise<unknown>): Promise<boolean> {
  let changes = 0;
  api.onChange = () => {
    if (changes++ >= change) throw new BootstrapError("unavailable/kubernetes-api", "killed");
  };
  await work().catch((error) => assert.equal(error.message, "killed"));
  api.onChange = () => {};
  return changes > change;
}

Deno.test("admit() refuses an address that another node has, and leaves nothing behind", async () => {
  const { api, records } = newRecords();
  await records.admitFounder({ ...recordOf(1, "10.0.0.1"), role: "control-plane" });
  await records.admit(recordOf(2, "10.0.0.2", "fd00::2"));
  const before = [...api.stored.keys()];
  for (const taken of ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "FD00:0:0::2"]) {
    await assert.rejects(records.admit(recordOf(3, "10.0.0.3", taken)), ({ code, details, next, retriable }) => {
      assert.deepEqual([code, retriable, details.address], ["conflict/node-address", false, taken]);
      assert.match(next, /bootstrapper node remove node-[12]/);
      return true;
    });
    assert.deepEqual([...api.stored.keys()], before);
  }
  assert.deepEqual(claimsIn(api), {
    ...{ "10.0.0.1": "node-1", "10.0.0.2": "node-2" },
    "fd000000000000000000000000000002": "node-2",
  });
});

Deno.test("admit() gives an admitted node another address only if that is free", async () => {
  const { api, records } = newRecords();
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2"));
  await assert.rejects(records.admit(recordOf(2, "10.0.0.1")), { code: "conflict/node-address" });
  assert.deepEqual((await records.byName("node-2"))?.addresses, ["10.0.0.2"]);
  await records.admit(recordOf(2, "10.0.0.3"));
  assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1", "10.0.0.3": "node-2" });
  await records.admit(recordOf(3, "10.0.0.2"));
  assert.equal((await records.byAddress("10.0.0.2"))?.nodeName, "node-3");
  assert.equal(await records.byAddress("10.0.0.9"), undefined);
});

Deno.test("admit() refuses an invalid address", async () => {
  const { records } = newRecords();
  for (const address of ["", "x", "fe80::1%eth0", "10.0.0.1/32"]) {
    await assert.rejects(records.admit(recordOf(1, address)), { code: "malformed/admission-record" });
  }
});

Deno.test("byName() leaves out an address that the node has not claimed", async () => {
  const { api, records } = newRecords();
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2"));
  for (const name of ["node-node-2", `identity-${recordOf(2).identity}`]) {
    const stored = api.stored.get(name);
    assert.ok(stored !== undefined);
    api.stored.set(name, { ...stored, data: { ...stored.data, addresses: '["10.0.0.1","10.0.0.2","10.0.0.9"]' } });
  }
  assert.deepEqual((await records.byName("node-2"))?.addresses, ["10.0.0.2"]);
});

Deno.test("remove() frees a node's current and earlier addresses", async () => {
  const { api, records } = newRecords();
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2", "10.0.0.3"));
  await records.remove("node-2");
  assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1" });
  await records.admit(recordOf(3, "10.0.0.2"));
});

for (const moving of [false, true]) {
  for (const heir of [1, 2]) {
    const who = `${moving ? "moves" : "comes"}, and node-${heir} asks next`;
    Deno.test(`admit() killed at any change leaves no claim that keeps others out, when node-1 ${who}`, async () => {
      let changes = 0;
      for (let isKilled = true; isKilled; changes++) {
        const { api, records } = newRecords();
        if (moving) await records.admit(recordOf(1, "10.0.0.1"));
        isKilled = await killedAt(api, changes, () => records.admit(recordOf(1, "10.0.0.9")));
        const isWhole = (await records.byAddress("10.0.0.9"))?.nodeName === "node-1";
        const asked = records.admit(recordOf(heir, "10.0.0.9"));
        if (heir === 2 && isWhole) {
          await assert.rejects(asked, { code: "conflict/node-address" });
          await records.remove("node-1");
          assert.deepEqual(claimsIn(api), {});
          continue;
        }
        await asked;
        assert.equal((await records.byAddress("10.0.0.9"))?.nodeName, `node-${heir}`);
        // The address that node-1 had before it moved is free now.
        if (heir === 1) await records.admit(recordOf(3, "10.0.0.1"));
      }
      assert.ok(changes >= 4, `${changes}`);
    });
  }
}

Deno.test("remove() leaves nothing when it was killed at any change and runs again", async () => {
  let changes = 0;
  for (let isKilled = true; isKilled; changes++) {
    const { api, records } = newRecords();
    await records.admit(recordOf(1, "10.0.0.1", "10.0.0.2"));
    isKilled = await killedAt(api, changes, () => records.remove("node-1"));
    await records.remove("node-1");
    assert.deepEqual([...api.stored.keys()], []);
  }
  assert.equal(changes, 5);
});

Deno.test("admit() gives an address to at most one of several nodes that ask at once", async () => {
  const order = fc.scheduler();
  await fc.assert(
    fc.asyncProperty(order, fc.integer({ min: 2, max: 4 }), async (scheduler, count) => {
      const api = new MemoryConfigMaps();
      const later = <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
        scheduler.scheduleFunction(async (...args: A) => await call(...args));
      const slow = (): AdmissionRecords =>
        new AdmissionRecords({
          find: later((path, schema) => api.find(path, schema)) as MemoryConfigMaps["find"],
          get: later((path, schema) => api.get(path, schema)) as MemoryConfigMaps["get"],
          create: later((...args) => api.create(...args)) as MemoryConfigMaps["create"],
          replace: later((...args) => api.replace(...args)) as MemoryConfigMaps["replace"],
          remove: later((path, only) => api.remove(path, only)) as MemoryConfigMaps["remove"],
        });
      const asked = Array.from({ length: count }, (_, index) => recordOf(index + 1, "10.0.0.1"));
      const outcomes = Promise.allSettled(asked.map((record) => slow().admit(record)));
      await scheduler.waitFor(outcomes);
      for (const outcome of await outcomes) {
        if (outcome.status === "fulfilled") continue;
        assert.ok(["conflict/node-address", "unavailable/admission-changed"].includes(outcome.reason.code));
      }
      const records = new AdmissionRecords(api);
      const named = await Promise.all(asked.map(({ nodeName }) => records.byName(nodeName)));
      assert.ok(named.filter((record) => record?.addresses.includes("10.0.0.1")).length <= 1);
    }),
    { numRuns: 200 },
  );
});

Deno.test("recordCertificates() keeps the newest of each usage, and the latest end of any client certificate", async () => {
  const { api, records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  const of = (usage: "client" | "serving", serial: string, notAfterMs: number) => ({
    usage,
    serial,
    digest: "d",
    notAfterMs,
  });
  await records.recordCertificates(record.identity, uid, [of("client", "01", 2_000), of("serving", "02", 2_000)]);
  await records.recordCertificates(record.identity, uid, [of("client", "03", 1_000)]);
  assert.equal((await records.admit(record)).uid, uid);
  const { client, serving, clientUntilMs } = api.stored.get(`identity-${record.identity}`)?.data ?? {};
  assert.deepEqual([JSON.parse(client ?? "").serial, JSON.parse(serving ?? "").serial, clientUntilMs], [
    "03",
    "02",
    "2000",
  ]);
});

Deno.test("recordCertificates() refuses another admission of the identity, and an identity without one", async () => {
  const { records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  await records.remove(record.nodeName);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  const again = await records.admit(record);
  assert.notEqual(again.uid, uid);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  await records.recordCertificates(record.identity, again.uid, []);
});
