import assert from "node:assert/strict";
import * as v from "valibot";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { createEvent, nodeTarget } from "../../../kubernetes/events.ts";
import { migrateRecords } from "../../../kubernetes/records_migration.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { BOOTSTRAPPER } from "../node/run_process.ts";
import { TestCluster } from "./cluster.ts";
import { ADMISSIONS, anything, codeIs, CONFIG_MAPS, names, recordNames, recordOf } from "./records.ts";

const ROUNDS = 5;
/** More records than one request returns. */
const PAGE_AND_MORE = 510;
/** A removal after which the machine may return. */
const GONE = { nowMs: Date.now(), mayReturn: true };

Deno.test("the removal and the kind of admission records, against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());
  const records = new AdmissionRecords(service);
  const operator = new AdmissionRecords(cluster.admin);
  const left = async ({ identity, nodeName, addresses: [address] }: AdmissionRecord) =>
    (await recordNames(cluster.admin)).filter((name) =>
      [`identity-${identity}`, `node-${nodeName}`, `address-${address}`].includes(name)
    );

  await t.step("remove() frees name and identity, and both may be admitted again", async () => {
    const first = recordOf({});
    const bystander = recordOf({});
    for (const record of [first, bystander]) await records.admit(record);
    assert.deepEqual(await operator.remove(first.nodeName, GONE), first);
    assert.deepEqual(await left(first), []);
    assert.equal(await operator.remove(first.nodeName, GONE), undefined);
    assert.deepEqual(await records.find(bystander.identity), bystander);
    await records.admit(recordOf({ nodeName: first.nodeName }));
    await records.admit({ ...first, nodeName: `node-${hex(randomBytes(4))}`, resetCount: 1 });
  });

  await t.step("remove() completes a removal or an admission that was killed halfway", async () => {
    const halfRemoved = recordOf({});
    const halfAdmitted = recordOf({});
    for (const record of [halfRemoved, halfAdmitted]) await records.admit(record);
    await cluster.admin.remove(`${ADMISSIONS}/${halfRemoved.identity}`);
    await cluster.admin.remove(`${CONFIG_MAPS}/node-${halfAdmitted.nodeName}`);
    assert.equal(await operator.remove(halfRemoved.nodeName, GONE), undefined);
    assert.deepEqual(await operator.remove(halfAdmitted.nodeName, GONE), halfAdmitted);
    for (const record of [halfRemoved, halfAdmitted]) assert.deepEqual(await left(record), []);
  });

  await t.step("remove() deletes claims before the record, and goes on when it is called again", async () => {
    const first = recordOf({});
    await records.admit(first);
    using failing = new KubernetesApi(await cluster.credentials("/O=system:masters/CN=killed"));
    const calls: string[] = [];
    failing.remove = (path) => {
      calls.push(path.split("/").at(-1) ?? "");
      return calls.length === 1 ? cluster.admin.remove(path) : Promise.reject(new Error("killed"));
    };
    await assert.rejects(new AdmissionRecords(failing).remove(first.nodeName, GONE), /killed/);
    assert.deepEqual(calls, [`address-${first.addresses[0]}`, `node-${first.nodeName}`]);
    assert.deepEqual(await operator.remove(first.nodeName, GONE), first);
    assert.deepEqual(await left(first), []);
  });

  await t.step("remove() and admit() at the same time end with both records or with none", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const first = recordOf({});
      await records.admit(first);
      const calls = Array.from(
        { length: 6 },
        (_, index) => index % 2 === 0 ? records.admit(first) : operator.remove(first.nodeName, GONE),
      );
      for (const outcome of await Promise.allSettled(calls)) {
        assert.ok(
          outcome.status === "fulfilled" ||
            ["unavailable/admission-changed", "refused/removed"].some((code) => codeIs(code)(outcome.reason)),
          String(outcome.status === "rejected" && outcome.reason),
        );
      }
      await operator.remove(first.nodeName, GONE);
      assert.deepEqual(await left(first), []);
    }
  });

  await t.step("remove() finds the claims of an identity among more objects than one answer holds", async () => {
    const first = recordOf({});
    await records.admit(first);
    const names = Array.from({ length: PAGE_AND_MORE }, (_, index) => `a-${String(index).padStart(4, "0")}`);
    const create = (name: string) => cluster.admin.create(CONFIG_MAPS, { metadata: { name } }, anything);
    await Promise.all(names.map(create));
    assert.deepEqual(await operator.remove(first.nodeName, GONE), first);
    assert.deepEqual(await left(first), []);
    await Promise.all(names.map((name) => cluster.admin.remove(`${CONFIG_MAPS}/${name}`)));
  });

  await t.step("which nodes came in under an image is one question, for kubectl and for the command", async () => {
    const [pcr11, other] = [hex(randomBytes(32)), hex(randomBytes(32))];
    const [first, second] = [recordOf({ registers: { pcr4: "11", pcr11 } }), recordOf({ registers: { pcr11: other } })];
    for (const record of [first, second]) await records.admit({ ...record, evidence: randomBytes(3_000) });
    const selected = await cluster.admin.get(`${ADMISSIONS}?fieldSelector=spec.image%3D${pcr11}`, names);
    assert.deepEqual(selected.items.map(({ metadata }) => metadata.name), [first.identity]);
    const kubeconfig = cluster.controlPlane.path("/etc/kubernetes/admin.conf");
    for (const selector of [["--image", pcr11], ["--pcr", `11=${pcr11.slice(0, 12)}`]]) {
      const [program, ...args] = [
        ...BOOTSTRAPPER,
        "nodes",
        "--kubeconfig",
        kubeconfig,
        ...selector,
        "--output",
        "json",
      ];
      const { code, stdout } = await new Deno.Command(program ?? "", { args }).output();
      const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
      assert.deepEqual([code, nodes.length, nodes[0].nodeName, nodes[0].image], [0, 1, first.nodeName, pcr11]);
    }
  });

  await t.step("the API server keeps identity, name and role of a record, and a removal of it", async () => {
    const first = recordOf({});
    await records.admit(first);
    const path = `${ADMISSIONS}/${first.identity}`;
    for (const spec of [{ nodeName: "other" }, { role: "control-plane" }, { identity: "ab".repeat(32) }]) {
      await assert.rejects(cluster.admin.merge(path, { spec }, anything), codeIs("malformed/kubernetes-api"));
    }
    await operator.end(first.nodeName, first.identity, Date.now());
    const undo = cluster.admin.merge(path, { spec: { removedAt: null } }, anything);
    await assert.rejects(undo, codeIs("malformed/kubernetes-api"));
  });

  await t.step("records of the version before are migrated with the join service's rights, and run again", async () => {
    const { addresses, ...first } = recordOf({});
    const data = { ...first, addresses: JSON.stringify(addresses), resetCount: "5" };
    for (const name of [`identity-${first.identity}`, `node-${first.nodeName}`]) {
      await cluster.admin.create(CONFIG_MAPS, { metadata: { name }, data }, anything);
    }
    const claim = { identity: first.identity, nodeName: first.nodeName };
    await cluster.admin.create(CONFIG_MAPS, { metadata: { name: `address-${addresses[0]}` }, data: claim }, anything);
    assert.equal(await records.byName(first.nodeName), undefined);
    assert.deepEqual(await migrateRecords(service), { migrated: 1, left: [] });
    assert.deepEqual(await migrateRecords(service), { migrated: 0, left: [] });
    assert.deepEqual(await records.byName(first.nodeName), { ...first, addresses });
    assert.deepEqual((await records.admit({ ...first, addresses })).before, { ...first, addresses });
  });

  await t.step("Events are on the record and on the Node", async () => {
    const now = new Date();
    const target = { kind: "NodeAdmission", name: "ab".repeat(32), uid: crypto.randomUUID() } as const;
    for (const on of [target, nodeTarget("cp-1")]) {
      await createEvent(service, on, { type: "Normal", reason: "Admitted", message: "x".repeat(2_000), now });
    }
    const events = v.object({ items: v.array(v.object({ involvedObject: v.object({ name: v.string() }) })) });
    const { items } = await cluster.admin.get(
      "/api/v1/namespaces/default/events?fieldSelector=reason%3DAdmitted",
      events,
    );
    assert.deepEqual(items.map(({ involvedObject }) => involvedObject.name).sort(), [target.name, "cp-1"]);
  });
});
