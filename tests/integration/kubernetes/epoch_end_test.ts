/** A control plane whose epoch ends, against a real API server: it hears of it, and renews its certificates. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { generateKeyPair } from "../../../certificate/keys.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { readCutState } from "../../../kubernetes/authorization_configuration.ts";
import { CutEntries } from "../../../kubernetes/cut_entries.ts";
import { raiseEpoch } from "../../../kubernetes/epochs.ts";
import { nodeCertificatePath, readNodeCertificate } from "../../../kubernetes/kubelet_credentials.ts";
import { kubeletDenial } from "../../../kubernetes/kubelet_denial.ts";
import { NodeAdmissions } from "../../../kubernetes/node_admissions.ts";
import { withCutListKept } from "../../../node/interim_cut_list.ts";
import { recordMembership } from "../../../node/membership.ts";
import { nodePaths } from "../../../node/paths.ts";
import { renewCertificates } from "../../../node/renewal.ts";
import { otherServicesOf, ownCaWay } from "../../../node/renewal_ways.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { createLog } from "../../../platform/log.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { serviceState } from "../join/_join_worker.ts";
import { TestCluster } from "./cluster.ts";
import { CutListWorld, DAY_MS, DEADLINE_MS } from "./_cut_list_world.ts";

Deno.test("a node learns that its epoch has ended at once, and renews; a control plane also what it lost", async (t) => {
  await using cluster = await TestCluster.create();
  await using _world = await CutListWorld.create(cluster);
  const { admin, controlPlane: node } = cluster;
  const base = nodePaths();
  const paths = {
    ...base,
    state: node.path(base.state),
    joinService: node.path(base.joinService),
    kubernetes: node.path(base.kubernetes),
    kubelet: node.path(base.kubelet),
  };
  const operator = await generateKeyPair("ed25519");
  await Deno.mkdir(paths.state, { recursive: true });
  const state = await serviceState(cluster, operator, "version: 1\n", `${node.ip}:9444`);
  await writeServiceState(paths.joinService, state);
  await recordMembership(paths.state, systemClock);
  const parts = { paths, clock: systemClock, log: createLog(systemClock, (line) => void logged.push(line)) };
  const logged: string[] = [];
  const never = new AbortController().signal;
  const denial = (name: string) => kubeletDenial(paths, name, never);
  // Of both IP families: no service listens at the second address.
  const addresses = { address: node.ip, secondAddress: "fd00:77::11" };
  const self = () => Promise.resolve({ name: node.name, ...addresses, role: "control-plane" } as const);
  const renew = () =>
    renewCertificates({
      ...{ ...parts, random: () => 0, denial, bootedAt: new Date(0), otherServices: otherServicesOf(paths, self) },
      attest: () => Promise.reject(new Error("This is a control plane")),
      issue: ownCaWay(parts, self),
    }, never);
  const groups = async () =>
    (await readNodeCertificate(paths, "client"))?.subject.attributes.map(({ value }) => value) ?? [];
  const record: AdmissionRecord = {
    ...{ identity: hex(randomBytes(32)), nodeName: node.name, role: "control-plane", nodeKey: "AAAA" },
    ...{ addresses: Object.values(addresses), evidenceDigest: "00".repeat(32) },
  };
  const { uid } = await new AdmissionRecords(admin).admitFounder(record);

  await t.step("a certificate without an admission gets that of the record, for the epoch of the cluster", async () => {
    assert.equal(await denial(node.name), undefined);
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.ok(!logged.some((line) => line.includes("control-plane-not-attested")), "it asked its own second address");
    assert.deepEqual((await groups()).slice(1, 3), [`bootstrapper:admission:${uid}`, "bootstrapper:epoch:1"]);
    assert.equal((await renew()).state, "early");
  });

  await t.step(
    "the list of a control plane that joins is true before its API server begins, and while it joins",
    async () => {
      const joining = { joinService: `${paths.joinService}-of-cp-2`, kubernetes: await Deno.makeTempDir() };
      const interim = { ...parts, paths: joining };
      let runs = 0;
      await withCutListKept(interim, never, () => Promise.resolve(void runs++));
      assert.deepEqual([runs, await readCutState(join(joining.kubernetes, "bootstrapper"))], [1, undefined]);
      const policyDocument = `version: 1\nvariant: none\nbannedIdentities: ["${record.identity}"]\n`;
      await writeServiceState(`${joining.joinService}.staged`, {
        ...state,
        policyDocument,
        apiEndpoints: [`${node.ip}:1`, ...state.apiEndpoints],
      });
      const folder = join(joining.kubernetes, "bootstrapper");
      const entries = new CutEntries(admin);
      const removed = [crypto.randomUUID(), crypto.randomUUID()].sort();
      const untilMs = Date.now() + DAY_MS;
      const cut = async (at: number) => {
        await entries.create({ uid: removed[at] ?? "", identity: "", nodeName: "gone", epoch: 1, untilMs });
      };
      await cut(0);
      await withCutListKept(interim, never, async () => {
        const first = await readCutState(folder);
        assert.deepEqual(first?.epochs, [1, 2]);
        assert.deepEqual(first.cut, [removed[0], uid].sort());
        await cut(1);
        const what = { what: "the second entry", deadlineMs: DEADLINE_MS };
        await waitUntil(what, async () => (await readCutState(folder))?.cut.length === 3);
      });
      await Deno.remove(joining.kubernetes, { recursive: true });
    },
  );

  await t.step("the epoch ends at once: the API server denies the kubelet, and the next look renews", async () => {
    await raiseEpoch(admin, 1, 0);
    await waitUntil(
      { what: "the denial", deadlineMs: DEADLINE_MS },
      async () => (await denial(node.name))?.code === "unavailable/kubernetes-authorizer",
    );
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.equal((await groups()).at(2), "bootstrapper:epoch:2");
    assert.equal(await denial(node.name), undefined);
    assert.equal((await renew()).state, "early");
  });

  await t.step("the kubelet has lost both certificates: it gets new ones, which are on record", async () => {
    for (const usage of ["client", "serving"] as const) await Deno.remove(nodeCertificatePath(paths.kubelet, usage));
    assert.equal((await renew()).state, "renewed", logged.join("\n"));
    assert.deepEqual((await groups()).slice(1, 3), [`bootstrapper:admission:${uid}`, "bootstrapper:epoch:2"]);
    assert.equal(await denial(node.name), undefined);
    const stored = await new NodeAdmissions(admin).find(record.identity);
    const serial = (await readNodeCertificate(paths, "client"))?.serialNumber.toHex();
    assert.ok(serial !== undefined && JSON.stringify(stored?.status).includes(serial), JSON.stringify(stored?.status));
  });
});
