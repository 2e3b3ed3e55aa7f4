import assert from "node:assert/strict";
import * as v from "valibot";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { applyClusterRbac } from "../../../kubernetes/cluster_rbac.ts";
import { systemClock } from "../../../platform/clock.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { createEvent, nodeTarget } from "../../../kubernetes/events.ts";
import { migrateRecords } from "../../../kubernetes/records_migration.ts";
import { BOOTSTRAPPER } from "../node/run_process.ts";
import { TestCluster } from "./cluster.ts";

const CONFIG_MAPS = "/api/v1/namespaces/bootstrapper-system/configmaps";
const ADMISSIONS = "/apis/bootstrapper.dev/v1/nodeadmissions";
const CONTENDERS = 24;
const ROUNDS = 5;
/** More records than one request returns. */
const PAGE_AND_MORE = 510;

const names = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });
const anything = v.unknown();

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

function recordOf(fields: Partial<AdmissionRecord>): AdmissionRecord {
  return {
    ...{ identity: hex(randomBytes(32)), nodeName: `node-${hex(randomBytes(4))}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses: [addressOf()], evidenceDigest: hex(randomBytes(32)), resetCount: 5 },
    ...fields,
  };
}

/** An address that no other node has. */
function addressOf(): string {
  return `10.${randomBytes(3).join(".")}`;
}

/** A removal after which the machine may return. */
const GONE = { nowMs: Date.now(), mayReturn: true };

/** The names of claims, and `identity-X` for each record. */
async function recordNames(api: KubernetesApi): Promise<string[]> {
  const claims = (await api.get(CONFIG_MAPS, names)).items.map(({ metadata }) => metadata.name);
  const records = (await api.get(ADMISSIONS, names)).items.map(({ metadata }) => `identity-${metadata.name}`);
  return [...claims.filter((name) => name !== "kube-root-ca.crt"), ...records];
}

Deno.test("admission records and the join service's rights, against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());
  const records = new AdmissionRecords(service);

  await t.step(
    "admit() returns the same outcome again, with key and evidence replaced, when the answer was lost",
    async () => {
      const first = recordOf({});
      const { uid, ...rest } = await records.admit(first);
      assert.deepEqual(rest, {});
      assert.deepEqual(await records.admit(first), { before: first, uid });
      const again = {
        ...first,
        nodeKey: "BBBB",
        addresses: [addressOf()],
        evidenceDigest: "11".repeat(32),
        resetCount: 6,
      };
      assert.deepEqual(await records.admit(again), { before: first, uid });
      assert.deepEqual(await records.find(first.identity), again);
    },
  );

  await t.step("admit() refuses another name or role for an identity, and another identity for a name", async () => {
    const first = recordOf({});
    await records.admit(first);
    const before = await recordNames(cluster.admin);
    await assert.rejects(records.admit({ ...first, nodeName: "other" }), codeIs("conflict/identity"));
    await assert.rejects(records.admit({ ...first, role: "control-plane" }), codeIs("conflict/identity"));
    const stranger = { ...first, identity: "cc".repeat(32) };
    await assert.rejects(records.admit(stranger), (error: unknown) => {
      assert.ok(codeIs("conflict/node-name")(error) && error instanceof BootstrapError);
      assert.ok(error.message.includes(first.identity) && error.message.includes(stranger.identity), error.message);
      assert.ok(error.next.endsWith(`run \`bootstrapper node remove ${first.nodeName}\``), error.next);
      return true;
    });
    assert.deepEqual(await recordNames(cluster.admin), before);
    assert.deepEqual(await records.find(first.identity), first);
    assert.equal(await records.find(stranger.identity), undefined);
  });

  await t.step("admit() refuses another node's address, in any form of it, and leaves nothing behind", async () => {
    const first = recordOf({ addresses: [addressOf(), "2001:db8::7"] });
    await records.admit(first);
    const before = await recordNames(cluster.admin);
    for (const address of [first.addresses[0] ?? "", `::ffff:${first.addresses[0]}`, "2001:DB8:0::7"]) {
      const asked = records.admit(recordOf({ addresses: [addressOf(), address] }));
      await assert.rejects(asked, codeIs("conflict/node-address"));
      assert.deepEqual(await recordNames(cluster.admin), before);
    }
    const [moved, next] = [{ ...first, addresses: [addressOf()] }, recordOf({ addresses: first.addresses })];
    await records.admit(moved);
    await records.admit(next);
    await assert.rejects(records.admit(first), codeIs("conflict/node-address"));
    assert.deepEqual(await records.byName(moved.nodeName), moved);
    assert.deepEqual(await records.byName(next.nodeName), next);
  });

  await t.step("when many nodes request one address at once, one of them gets it", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const addresses = [addressOf()];
      const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ addresses }));
      const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        const codes = ["conflict/node-address", "unavailable/admission-changed"];
        assert.ok(codes.some((code) => codeIs(code)(outcome.reason)), String(outcome.reason));
      }
      const owners = async () => {
        const named = await Promise.all(contenders.map(({ nodeName }) => records.byName(nodeName)));
        return named.filter((record) => record?.addresses.length === 1).length;
      };
      assert.ok(await owners() <= 1);
      for (const record of contenders) await records.admit(record).catch(() => {});
      assert.equal(await owners(), 1);
    }
  });

  await t.step("admit() refuses a reset count that decreased, and a missing one", async () => {
    const first = recordOf({ resetCount: 9 });
    await records.admit(first);
    const { resetCount: _, ...without } = first;
    await assert.rejects(records.admit({ ...first, resetCount: 8 }), codeIs("refused/reset-count"));
    await assert.rejects(records.admit(without), codeIs("refused/reset-count"));
    assert.deepEqual(await records.find(first.identity), first);
  });

  await t.step("admit() refuses the name of a Node that was never admitted", async () => {
    const before = await recordNames(cluster.admin);
    await assert.rejects(records.admit(recordOf({ nodeName: "cp-1" })), codeIs("conflict/node-without-record"));
    assert.deepEqual(await recordNames(cluster.admin), before);
  });

  await t.step("admit() goes on after it was killed between the two records", async () => {
    const first = recordOf({});
    await records.admit(first);
    await cluster.admin.remove(`${CONFIG_MAPS}/node-${first.nodeName}`);
    assert.equal(await records.find(first.identity), undefined);
    await records.admit({ ...first, nodeKey: "BBBB" });
    assert.equal((await records.find(first.identity))?.nodeKey, "BBBB");
  });

  await t.step(
    "admit() frees an identity that was killed between the two records, when another got the name",
    async () => {
      const killed = recordOf({});
      await records.admit(killed);
      await cluster.admin.remove(`${CONFIG_MAPS}/node-${killed.nodeName}`);
      const other = { ...killed, nodeName: `node-${hex(randomBytes(4))}`, role: "control-plane" } as const;
      // As long as no other node has the name, it may have been admitted, so only this name is left for it.
      await assert.rejects(records.admit(other), codeIs("conflict/identity"));
      const heir = recordOf({ nodeName: killed.nodeName });
      await records.admit(heir);
      await assert.rejects(records.admit(killed), codeIs("conflict/node-name"));
      await assert.rejects(records.admit({ ...other, resetCount: 4 }), codeIs("refused/reset-count"));
      assert.equal((await records.admit(other)).before, undefined);
      assert.deepEqual(await records.find(killed.identity), other);
      assert.deepEqual(await records.byName(heir.nodeName), heir);
      await assert.rejects(records.admit({ ...killed, nodeName: "other" }), codeIs("conflict/identity"));
    },
  );

  await t.step("byName() returns the record of a name only if both records agree", async () => {
    const first = recordOf({});
    assert.equal(await records.byName(first.nodeName), undefined);
    await records.admit(first);
    assert.deepEqual(await records.byName(first.nodeName), first);
    await cluster.admin.remove(`${ADMISSIONS}/${first.identity}`);
    assert.equal(await records.byName(first.nodeName), undefined);
    assert.equal(await records.byName("../secrets/x"), undefined);
  });

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

  await t.step(
    "when many identities contend for one name, exactly one is admitted, and only its records stay",
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const nodeName = `contended-${round}`;
        const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ nodeName }));
        const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
        const winners = contenders.filter((_, index) => outcomes[index]?.status === "fulfilled");
        assert.equal(winners.length, 1);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") {
            assert.ok(
              codeIs("conflict/node-name")(outcome.reason),
              String(outcome.reason),
            );
          }
        }
        const identities = new Set(contenders.map(({ identity }) => `identity-${identity}`));
        const left = (await recordNames(cluster.admin)).filter((name) => identities.has(name));
        assert.deepEqual(left, winners.map(({ identity }) => `identity-${identity}`));
      }
    },
  );

  await t.step("when one identity requests many names at once, exactly one is admitted", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const identity = hex(randomBytes(32));
      const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ identity }));
      const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          assert.ok(codeIs("conflict/identity")(outcome.reason), String(outcome.reason));
        }
      }
      const left = (await recordNames(cluster.admin)).filter((name) =>
        contenders.some((one) => name === `node-${one.nodeName}`)
      );
      assert.equal(left.length, 1);
    }
  });

  await t.step(
    "when one identity asks many times at once with different keys, its records agree in the end",
    async () => {
      const base = recordOf({});
      const asked = Array.from(
        { length: 8 },
        (_, index) => ({ ...base, nodeKey: `key${index}`, evidenceDigest: hex(randomBytes(32)) }),
      );
      const outcomes = await Promise.allSettled(asked.map((record) => records.admit(record)));
      assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          assert.ok(codeIs("unavailable/admission-changed")(outcome.reason), String(outcome.reason));
        }
      }
      await records.admit(base);
      assert.deepEqual(await records.find(base.identity), base);
    },
  );

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

  await t.step("the join service cannot read Secrets, act as another user, or change anything else", async () => {
    const refused: readonly (() => Promise<unknown>)[] = [
      () => service.get("/api/v1/secrets", anything),
      () => service.get("/api/v1/namespaces/kube-system/secrets", anything),
      () => service.get("/api/v1/namespaces/bootstrapper-system/secrets", anything),
      () => service.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config", anything),
      () => service.get("/api/v1/namespaces/kube-system/configmaps", anything),
      () => service.get("/api/v1/nodes", anything),
      () => service.merge("/api/v1/nodes/cp-1", { metadata: { labels: { a: "b" } } }, anything),
      () => service.remove("/api/v1/nodes/cp-1"),
      () => service.create("/api/v1/namespaces/bootstrapper-system/pods", { metadata: { name: "p" } }, anything),
      () => service.create("/api/v1/namespaces/kube-system/serviceaccounts/default/token", { spec: {} }, anything),
      () => applyClusterRbac(service, { clock: systemClock, deadlineMs: 1_000 }),
    ];
    for (const call of refused) await assert.rejects(call(), codeIs("unauthorized/kubernetes-api"), String(call));
  });

  await t.step("the join service cannot impersonate", async () => {
    const { server, caPem, certificatePem, keyPem } = await cluster.joinService();
    using client = Deno.createHttpClient({ caCerts: [caPem], cert: certificatePem, key: keyPem });
    const request: RequestInit & { readonly client: Deno.HttpClient } = {
      client,
      headers: { "impersonate-user": "admin" },
    };
    const response = await fetch(`${server}/api/v1/secrets`, request);
    await response.body?.cancel();
    assert.equal(response.status, 403);
  });

  await t.step(
    "errors have stable codes when the caller is unknown, the CA is a different one, or no server answers",
    async () => {
      const stranger = await cluster.credentials("/CN=stranger");
      using unknown = new KubernetesApi(stranger);
      await assert.rejects(unknown.get("/api/v1/nodes", anything), codeIs("unauthorized/kubernetes-api"));
      using other = new KubernetesApi({ ...stranger, caPem: stranger.certificatePem });
      await assert.rejects(other.get("/api/v1/nodes", anything), codeIs("unavailable/kubernetes-api-tls"));
      using closed = new KubernetesApi({ ...stranger, server: `https://${cluster.controlPlane.ip}:1` });
      await assert.rejects(closed.get("/api/v1/nodes", anything), codeIs("unavailable/kubernetes-api"));
      await assert.rejects(cluster.admin.get(`${CONFIG_MAPS}/none`, anything), codeIs("precondition/not-found"));
      await assert.rejects(cluster.admin.get("/api/v1/nodes", v.string()), codeIs("malformed/kubernetes-api"));
      assert.throws(
        () => new KubernetesApi({ ...stranger, server: "http://x" }),
        codeIs("usage/kubernetes-credentials"),
      );
      assert.throws(() => new KubernetesApi({ ...stranger, keyPem: "no key" }), codeIs("usage/kubernetes-credentials"));
    },
  );
});
