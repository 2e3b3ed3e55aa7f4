import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import type { AdmissionRecord } from "./admission_records.ts";
import { claimsIn, killedAt, newRecords, recordOf } from "./testing/admissions.ts";
import { ADMISSIONS } from "./testing/memory_api.ts";

const PLACEHOLDER = "f".repeat(64);

/** The record that an adoption makes of the node of a machine. */
function placeholderOf({ nodeName, role, addresses }: AdmissionRecord): AdmissionRecord {
  return { ...{ identity: PLACEHOLDER, nodeName, role, addresses, nodeKey: "", evidenceDigest: "" }, adoptedMs: 1 };
}

Deno.test("adopt() keeps a node's name and addresses from every machine, also from its own", async () => {
  const { records } = newRecords();
  const [own, other] = [recordOf(1, "10.0.0.1"), recordOf(2, "10.0.0.2")];
  await records.adopt(placeholderOf(own));
  for (const asked of [own, { ...other, nodeName: own.nodeName }]) {
    await assert.rejects(records.admit(asked), ({ code, next, retriable }: BootstrapError) => {
      assert.deepEqual([code, retriable], ["conflict/node-name", false]);
      assert.match(next, new RegExp(`bootstrapper adopt node node-1 --identity ${asked.identity}`));
      return true;
    });
  }
  await assert.rejects(records.admit(recordOf(3, "10.0.0.1")), { code: "conflict/node-address" });
  await assert.rejects(records.renew(own), { code: "refused/not-admitted" });
});

Deno.test("adopt() may be repeated, and does not replace the record of a machine", async () => {
  const { records } = newRecords();
  const own = recordOf(1, "10.0.0.1");
  const first = await records.adopt(placeholderOf(own));
  assert.equal((await records.adopt(placeholderOf(own))).uid, first.uid);
  const machine = recordOf(2, "10.0.0.2");
  await records.admit(machine);
  await assert.rejects(records.adopt(placeholderOf(machine)), { code: "conflict/node-name" });
});

Deno.test("nameSuccessor() lets exactly that machine take over the node, with its role and addresses", async () => {
  const { api, records } = newRecords();
  const own = recordOf(1, "10.0.0.1", "10.0.0.9");
  await records.adopt(placeholderOf(own));
  assert.equal(await records.nameSuccessor("node-1", own.identity), "worker");
  await assert.rejects(records.admit({ ...own, role: "control-plane" }), { code: "conflict/node-name" });
  await assert.rejects(records.admit({ ...recordOf(2, "10.0.0.2"), nodeName: "node-1" }), {
    code: "conflict/node-name",
  });
  await records.admit(own);
  assert.equal((await records.admittedAs("node-1"))?.identity, own.identity);
  assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1", "10.0.0.9": "node-1" });
  assert.equal((await records.byAddress("10.0.0.9"))?.identity, own.identity);
  assert.deepEqual([...api.objects.keys()].filter((path) => path.startsWith(ADMISSIONS)), [
    `${ADMISSIONS}/${own.identity}`,
  ]);
  assert.equal(await records.nameSuccessor("node-1", recordOf(2).identity), undefined, "the machine is in its place");
  await records.renew(own);
});

Deno.test("the last successor that was named counts", async () => {
  const { records } = newRecords();
  const [own, other] = [recordOf(1, "10.0.0.1"), { ...recordOf(2, "10.0.0.1"), nodeName: "node-1" }];
  await records.adopt(placeholderOf(own));
  await records.nameSuccessor("node-1", own.identity);
  await records.nameSuccessor("node-1", other.identity);
  await assert.rejects(records.admit(own), { code: "conflict/node-name" });
  await records.admit(other);
  assert.equal((await records.byName("node-1"))?.identity, other.identity);
});

Deno.test("a machine that is killed while it takes an adopted node over takes it over when it asks again", async () => {
  for (let change = 0;; change++) {
    const { api, records } = newRecords();
    const own = recordOf(1, "10.0.0.1");
    await records.adopt(placeholderOf(own));
    await records.nameSuccessor("node-1", own.identity);
    const wasKilled = await killedAt(api, change, () => records.admit(own));
    await assert.rejects(records.admit({ ...recordOf(2, "10.0.0.2"), nodeName: "node-1" }), {
      code: "conflict/node-name",
    });
    await records.admit(own);
    assert.equal((await records.byName("node-1"))?.identity, own.identity);
    assert.deepEqual(claimsIn(api), { "10.0.0.1": "node-1" });
    if (!wasKilled) return;
  }
});

Deno.test("nameSuccessor() names nothing where no adopted node waits, and no identity that is none", async () => {
  const { records } = newRecords();
  assert.equal(await records.nameSuccessor("node-9", PLACEHOLDER), undefined);
  await assert.rejects(records.nameSuccessor("node-9", "abc"), { code: "malformed/admission-record" });
});
