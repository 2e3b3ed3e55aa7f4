/** Tests of the end of admissions: what a removal leaves, and whom it keeps out. */
import assert from "node:assert/strict";
import { ADMISSIONS } from "./testing/memory_api.ts";
import { claimsIn, GONE, killedAt, newRecords, recordOf, statusOf } from "./testing/admissions.ts";

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

Deno.test("stands() says no before remove() frees the name, and of an admission that was made anew", async () => {
  for (let changes = 0, isKilled = true; isKilled; changes++) {
    const { api, records } = newRecords();
    const record = recordOf(1, "10.0.0.1");
    const { uid } = await records.admit(record);
    assert.equal(await records.stands(record.identity, uid), true);
    isKilled = await killedAt(api, changes, () => records.remove(record.nodeName, GONE));
    const hasName = await records.find(record.identity) !== undefined;
    assert.equal(await records.stands(record.identity, uid), hasName, `killed at change ${changes}`);
    await records.remove(record.nodeName, { ...GONE, identity: record.identity });
    const again = await records.admit(record);
    assert.deepEqual(await Promise.all([uid, again.uid].map((one) => records.stands(record.identity, one))), [
      ...[false, true],
    ]);
  }
});

Deno.test("remove() frees a node's current and earlier addresses", async () => {
  const { api, records } = newRecords();
  await records.admit(recordOf(1, "10.0.0.1"));
  await records.admit(recordOf(2, "10.0.0.2", "10.0.0.3"));
  await records.remove("node-2", GONE);
  assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1" });
  await records.admit(recordOf(3, "10.0.0.2"));
});

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
  assert.deepEqual(changes.splice(0), ["apply"]);
  await records.end(founder.nodeName, founder.identity, 5_000);
  assert.deepEqual(changes.splice(0), ["replace"]);
  await records.end(founder.nodeName, founder.identity, 6_000);
  assert.deepEqual(changes, []);
});

Deno.test("admitFounder() goes on with the record that a killed founding left, and refuses a removed machine", async () => {
  const { api, records } = newRecords();
  const founder = { ...recordOf(1, "10.0.0.1"), role: "control-plane" } as const;
  api.onChange = (_method, path) => {
    if (api.names(ADMISSIONS).length === 1 && !path.startsWith(ADMISSIONS)) throw new Error("killed");
  };
  await assert.rejects(records.admitFounder(founder), { message: "killed" });
  const [uid] = [...api.objects.values()].map(({ metadata }) => metadata.uid).slice(-1);
  api.onChange = () => {};
  assert.equal((await records.admitFounder(founder)).uid, uid);
  assert.equal((await records.admitFounder(founder)).uid, uid);
  await records.remove(founder.nodeName, { nowMs: 5_000, mayReturn: false });
  await assert.rejects(records.admitFounder(founder), { code: "refused/removed" });
});
