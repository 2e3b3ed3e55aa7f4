/**
 * Tests of address claims. `tests/integration/kubernetes/kubernetes_records_test.ts` and its neighbours test the records
 * against a real API server.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { ADMISSIONS, MemoryApi } from "./testing/memory_api.ts";
import { type AdmissionRecord, AdmissionRecords } from "./admission_records.ts";

function recordOf(number: number, ...addresses: readonly string[]): AdmissionRecord {
  return {
    ...{ identity: number.toString(16).padStart(64, "0"), nodeName: `node-${number}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses, evidenceDigest: "00" },
  };
}

const statusOf = (api: MemoryApi, { identity }: AdmissionRecord) =>
  api.objects.get(`${ADMISSIONS}/${identity}`)?.status ?? {};

/** A removal after which the machine may return. */
const GONE = { nowMs: 0, mayReturn: true };

function newRecords(nowMs = () => 0): { readonly api: MemoryApi; readonly records: AdmissionRecords } {
  const api = new MemoryApi();
  return { api, records: new AdmissionRecords(api, { now: () => new Date(nowMs()) }) };
}

const claimsIn = (api: MemoryApi) =>
  Object.fromEntries(
    [...api.objects.values()].filter(({ metadata }) => metadata.name.startsWith("address-"))
      .map(({ metadata, data }) => [metadata.name.slice("address-".length), data?.["nodeName"]]),
  );

/** Kills the work at the change of that number, counted from 0. Returns whether the work got that far. */
async function killedAt(api: MemoryApi, change: number, work: () => Promise<unknown>): Promise<boolean> {
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

Deno.test("renew() of a node that is removed at the same time, and may return, leaves it removed", async () => {
  // The removal comes at each of the API's calls.
  for (let call = 0;; call++) {
    const { api, records } = newRecords();
    const record = recordOf(1, "10.0.0.1");
    await records.admit(record);
    let calls = 0;
    let isRemoving = false;
    api.onRead = async () => {
      if (isRemoving || calls++ !== call) return;
      isRemoving = true;
      await records.remove(record.nodeName, GONE);
      isRemoving = false;
    };
    const outcome = await records.renew({ ...record, nodeKey: "BBBB" }).then(() => "renewed", ({ code }) => code);
    api.onRead = () => Promise.resolve();
    if (calls <= call) return;
    assert.ok(["renewed", "refused/not-admitted"].includes(outcome), outcome);
    assert.deepEqual([...api.objects.keys()].filter((path) => path.includes(record.identity)), [], `call ${call}`);
    // The name is free.
    await records.admit({ ...recordOf(2, "10.0.0.2"), nodeName: record.nodeName });
  }
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

Deno.test("remove() frees a node's current and earlier addresses", async () => {
  const { api, records } = newRecords();
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2", "10.0.0.3"));
  await records.remove("node-2", GONE);
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

Deno.test("remove() leaves nothing when it was killed at any change and runs again", async () => {
  let changes = 0;
  for (let isKilled = true; isKilled; changes++) {
    const { api, records } = newRecords();
    await records.admit(recordOf(1, "10.0.0.1", "10.0.0.2"));
    const removal = { ...GONE, identity: recordOf(1).identity };
    isKilled = await killedAt(api, changes, () => records.remove("node-1", removal));
    await records.remove("node-1", removal);
    assert.deepEqual([...api.objects.keys()], []);
  }
  assert.equal(changes, 7);
});

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
  const { client, serving, until, servingUntil } = statusOf(api, record);
  const time = (ms: number) => new Date(ms).toISOString();
  assert.deepEqual(client, { serial: "03", digest: "d", notAfter: time(1_000) });
  assert.deepEqual(serving, { serial: "02", digest: "d", notAfter: time(2_000) });
  assert.deepEqual([until, servingUntil], [time(2_000), time(2_000)]);
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

Deno.test("recordCertificates() keeps the highest epoch, whichever signer records last", async () => {
  const { api, records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  const certificate = { usage: "client", serial: "01", digest: "d", notAfterMs: 2_000 } as const;
  for (const epoch of [2, 3, 2]) await records.recordCertificates(record.identity, uid, [{ ...certificate, epoch }]);
  assert.equal(statusOf(api, record)["epoch"], 3);
  assert.equal((await records.end(record.nodeName, record.identity, 5_000))?.epoch, 3);
});

Deno.test("recordCertificates() refuses addresses and keys that an admission since has replaced", async () => {
  const { api, records } = newRecords();
  const [first, since] = [recordOf(1, "10.0.0.1"), { ...recordOf(1, "10.0.0.2"), nodeKey: "other" }];
  const { uid } = await records.admit(first);
  assert.equal((await records.admit(since)).uid, uid);
  // The address of the first is free now: no certificate for it was on record.
  await records.admit(recordOf(2, "10.0.0.1"));
  for (const old of [first, { ...since, nodeKey: first.nodeKey }, { ...since, addresses: first.addresses }]) {
    await assert.rejects(records.recordCertificates(first.identity, uid, [], old), {
      code: "unavailable/admission-changed",
      retriable: true,
    });
  }
  await records.recordCertificates(first.identity, uid, [], since);
  assert.equal(statusOf(api, first)["serving"], undefined);
});

Deno.test("recordCertificates() refuses another admission of the identity, and an identity without one", async () => {
  const { records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  await records.remove(record.nodeName, GONE);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  const again = await records.admit(record);
  assert.notEqual(again.uid, uid);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  await records.recordCertificates(record.identity, again.uid, []);
});

Deno.test("remove() keeps the identity out until its record is deleted, and frees the name at once", async () => {
  const { api, records } = newRecords();
  const old = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit({ ...old, evidence: new Uint8Array(3) });
  await records.recordCertificates(old.identity, uid, [{
    usage: "client",
    serial: "01",
    digest: "d",
    notAfterMs: 9_000,
  }]);
  const statusBefore = statusOf(api, old);
  await records.remove(old.nodeName, { nowMs: 5_000, mayReturn: false });
  assert.deepEqual(statusOf(api, old), statusBefore);
  assert.equal(api.objects.get(`${ADMISSIONS}/${old.identity}`)?.spec?.["removedAt"], new Date(5_000).toISOString());
  assert.equal(await records.find(old.identity), undefined);
  await assert.rejects(records.recordCertificates(old.identity, uid, []), {
    code: "refused/removed",
    retriable: false,
  });
  await assert.rejects(records.admit(old), ({ code, next }) => {
    assert.equal(code, "refused/removed");
    assert.ok(next.includes(`kubectl delete nodeadmission ${old.identity}`), next);
    return true;
  });
  await assert.rejects(records.admit({ ...old, nodeName: "another" }), { code: "refused/removed" });

  const heir = { ...recordOf(2, "10.0.0.1"), nodeName: old.nodeName };
  await records.admit(heir);
  assert.equal((await records.byName(old.nodeName))?.identity, heir.identity);
  // What is left of the earlier node survives the removal of the next one, which may return.
  await records.remove(old.nodeName, GONE);
  assert.deepEqual(api.names(ADMISSIONS), [old.identity]);
  await assert.rejects(records.admit(old), { code: "refused/removed" });

  await api.remove(`${ADMISSIONS}/${old.identity}`);
  assert.notEqual((await records.admit(old)).uid, uid);
});

Deno.test("end() and admitFounder() write each record once, so that no kill leaves half of a change", async () => {
  const { api, records } = newRecords();
  const founder = { ...recordOf(1, "10.0.0.1"), role: "control-plane" } as const;
  const changes: string[] = [];
  api.onChange = (method, path) => path.startsWith(ADMISSIONS) && changes.push(method);
  await records.admitFounder(founder);
  assert.deepEqual(changes.splice(0), ["create"]);
  await records.end(founder.nodeName, founder.identity, 5_000);
  assert.deepEqual(changes.splice(0), ["replace"]);
  await records.end(founder.nodeName, founder.identity, 6_000);
  assert.deepEqual(changes, []);
});

Deno.test("end() has the latest end of any certificate, whichever client comes first", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const api = new MemoryApi();
      const records = new AdmissionRecords(api);
      const record = recordOf(1, "10.0.0.1");
      const { uid } = await records.admit(record);
      const slow = Object.assign(new MemoryApi(), {
        find: scheduler.scheduleFunction(api.find.bind(api)) as MemoryApi["find"],
        replace: scheduler.scheduleFunction(api.replace.bind(api)) as MemoryApi["replace"],
      });
      const certificate = { usage: "client", serial: "01", digest: "d", notAfterMs: 9_000 } as const;
      const signing = new AdmissionRecords(slow).recordCertificates(record.identity, uid, [certificate])
        .then(() => true, () => false);
      const ending = new AdmissionRecords(slow).end(record.nodeName, record.identity, 5_000);
      await scheduler.waitFor(Promise.all([signing, ending]));
      // A certificate that may be signed is one that the removal knows of.
      assert.equal((await ending)?.untilMs, await signing ? 9_000 : undefined);
    }),
  );
});

Deno.test("admit() keeps what the evidence showed, in whatever order it is given", async () => {
  const { records } = newRecords();
  const registers = { pcr4: "aa", pcr11: "bb", measurement: "cc" };
  const record = { ...recordOf(1, "10.0.0.1"), registers, policyDigest: "ab12", attestedMs: 1_000 };
  await records.admit(record);
  assert.deepEqual(await records.find(record.identity), record);
});
