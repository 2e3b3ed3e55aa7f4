/**
 * Tests of address claims. `tests/integration/kubernetes/kubernetes_records_test.ts` and its neighbours test the records
 * against a real API server.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { ADMISSIONS, MemoryApi } from "./testing/memory_api.ts";
import { AdmissionRecords } from "./admission_records.ts";
import { claimsIn, GONE, killedAt, newRecords, recordOf } from "./testing/admissions.ts";

Deno.test("admit() refuses an address that another node has, and leaves nothing behind", async () => {
  const { api, records } = newRecords();
  await records.admitFounder({ ...recordOf(1, "10.0.0.1"), role: "control-plane" });
  await records.admit(recordOf(2, "10.0.0.2", "fd00::2"));
  const before = [...api.objects.keys()];
  for (const taken of ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "FD00:0:0::2"]) {
    await assert.rejects(records.admit(recordOf(3, "10.0.0.3", taken)), ({ code, details, next, retriable }) => {
      assert.deepEqual([code, retriable, details.address], ["conflict/node-address", false, taken]);
      assert.match(next, /bootstrapper node remove node-[12]/);
      return true;
    });
    assert.deepEqual([...api.objects.keys()], before);
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

for (const how of ["admit", "renew"] as const) {
  Deno.test(`${how}() keeps a node's earlier address from others until its certificates for it have ended`, async () => {
    let nowMs = 0;
    const { api, records } = newRecords(() => nowMs);
    const record = recordOf(1, "10.0.0.1");
    const { uid } = await records.admit(record);
    const serving = { usage: "serving", serial: "01", digest: "d", notAfterMs: 5_000 } as const;
    await records.recordCertificates(record.identity, uid, [serving]);
    // A newer certificate that ends earlier does not shorten it.
    await records.recordCertificates(record.identity, uid, [{ ...serving, serial: "02", notAfterMs: 4_000 }]);
    await records[how](recordOf(1, "10.0.0.9"));
    assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1", "10.0.0.9": "node-1" });
    nowMs = 4_999;
    await assert.rejects(records.admit(recordOf(2, "10.0.0.1")), { code: "conflict/node-address" });
    assert.equal((await records.byAddress("10.0.0.1"))?.nodeName, "node-1");
    // It may go back to it, and away again.
    await records[how](record);
    await records[how](recordOf(1, "10.0.0.9"));
    await assert.rejects(records.admit(recordOf(2, "10.0.0.1")), { code: "conflict/node-address" });
    nowMs = 5_000;
    await records.admit(recordOf(2, "10.0.0.1"));
    assert.equal((await records.byAddress("10.0.0.1"))?.nodeName, "node-2");
  });
}

Deno.test("admit() that is killed while an address changes leaves it with the node", async () => {
  for (let change = 0;; change++) {
    const { api, records } = newRecords();
    const record = recordOf(1, "10.0.0.1");
    const { uid } = await records.admit(record);
    await records.recordCertificates(record.identity, uid, [
      { usage: "serving", serial: "01", digest: "d", notAfterMs: 5_000 },
    ]);
    const wasKilled = await killedAt(api, change, () => records.renew(recordOf(1, "10.0.0.9")));
    await assert.rejects(records.admit(recordOf(2, "10.0.0.1")), { code: "conflict/node-address" });
    if (!wasKilled) return;
  }
});

Deno.test("renew() changes an admission that stands, and never makes one", async () => {
  const { api, records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  await assert.rejects(records.renew(record), { code: "refused/not-admitted" });
  assert.deepEqual(claimsIn(api), {});
  assert.equal(await records.find(record.identity), undefined);
  const { uid } = await records.admit(record);
  const renewed = await records.renew({ ...record, nodeKey: "BBBB" });
  assert.deepEqual([renewed.uid, renewed.before?.nodeKey], [uid, "AAAA"]);
  assert.equal((await records.find(record.identity))?.nodeKey, "BBBB");
  const other = { ...recordOf(2, "10.0.0.1"), nodeName: record.nodeName };
  await assert.rejects(records.renew(other), { code: "refused/not-admitted" });
  await assert.rejects(records.renew({ ...record, nodeName: "node-9" }), (error: BootstrapError) => {
    assert.deepEqual([error.code, error.details["seen"]], ["refused/not-admitted", "worker node-1"]);
    return true;
  });
  await assert.rejects(records.renew({ ...record, role: "control-plane" }), { code: "conflict/identity" });
  await records.end(record.nodeName, record.identity, 0);
  await assert.rejects(records.renew(record), { code: "refused/removed" });
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
  const path = `${ADMISSIONS}/${recordOf(2).identity}`;
  const stored = api.objects.get(path);
  assert.ok(stored !== undefined);
  const addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.9"];
  api.objects.set(path, { ...stored, spec: { ...stored.spec, addresses } });
  assert.deepEqual((await records.byName("node-2"))?.addresses, ["10.0.0.2"]);
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
          await records.remove("node-1", GONE);
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

Deno.test("admit() gives an address to at most one of several nodes that ask at once", async () => {
  const order = fc.scheduler();
  await fc.assert(
    fc.asyncProperty(order, fc.integer({ min: 2, max: 4 }), async (scheduler, count) => {
      const api = new MemoryApi();
      const later = <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
        scheduler.scheduleFunction(async (...args: A) => await call(...args));
      const slow = (): AdmissionRecords =>
        new AdmissionRecords({
          find: later((path, schema) => api.find(path, schema)) as MemoryApi["find"],
          get: later((path, schema) => api.get(path, schema)) as MemoryApi["get"],
          create: later((...args) => api.create(...args)) as MemoryApi["create"],
          replace: later((...args) => api.replace(...args)) as MemoryApi["replace"],
          remove: later((path, only) => api.remove(path, only)) as MemoryApi["remove"],
          apply: later((path, object) => api.apply(path, object)) as MemoryApi["apply"],
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

Deno.test("admit() and renew() let a node hold few of its earlier addresses, and return to them", async () => {
  let nowMs = 0;
  const { api, records } = newRecords(() => nowMs);
  const at = (last: number) => recordOf(1, `10.0.0.${last}`);
  const move = async (last: number, how: "admit" | "renew") => {
    const { uid } = await records[how](at(last));
    await records.recordCertificates(at(last).identity, uid, [{
      ...{ usage: "serving", serial: "01", digest: "d", notAfterMs: nowMs + 9_000 },
    }]);
  };
  await move(1, "admit");
  for (const last of [2, 3, 4]) await move(last, "renew");
  for (const how of ["admit", "renew"] as const) {
    const before = claimsIn(api);
    await assert.rejects(records[how](at(5)), { code: "unavailable/node-addresses", retriable: true });
    assert.deepEqual(claimsIn(api), before);
  }
  await move(2, "renew");
  await records.admit(recordOf(2, "10.0.0.5"));
  nowMs = 9_000;
  await move(6, "renew");
});

Deno.test("admit() keeps what the evidence showed, in whatever order it is given", async () => {
  const { records } = newRecords();
  const registers = { pcr4: "aa", pcr11: "bb", measurement: "cc" };
  const record = { ...recordOf(1, "10.0.0.1"), registers, policyDigest: "ab12", attestedMs: 1_000 };
  await records.admit(record);
  assert.deepEqual(await records.find(record.identity), record);
});
