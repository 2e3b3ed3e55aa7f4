/** A member that asks for new certificates. */
import assert from "node:assert/strict";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import type { Expectation } from "../../attestation/evidence.ts";
import { lockDigest } from "../../protocol/transcript.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { refusal } from "../../protocol/refusal.ts";
import { newKit } from "../../protocol/testing/kit.ts";
import { ask, KUBELET_VERSION, newNode, newNodeKeys, TestCluster } from "./join_world.ts";
import { ToyMachine } from "./toy_kind.ts";
import { readNodeCertificate } from "../../kubernetes/kubelet_credentials.ts";
import { nodePaths } from "../../node/paths.ts";
import { attestationWay } from "../../node/renewal_ways.ts";
import { LockFile } from "../../nodelock/file.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { measureLock, measureTrust } from "../../nodelock/measure.ts";

async function refusalOf(asked: Promise<unknown>): Promise<BootstrapError> {
  return asBootstrapError(await asked.then(() => assert.fail("it got new certificates"), (error: unknown) => error));
}

Deno.test("a member gets new certificates for new keys, under the same admission", async () => {
  await using cluster = await TestCluster.create();
  const { identity, ...keys } = await newNodeKeys();
  const first = await ask(cluster.port, await newNode(cluster.trust, { keys: { ...keys, identity } }));
  const renewed = { ...await newNodeKeys(), identity };
  const node = await newNode(cluster.trust, { purpose: "renew", keys: renewed, lockedTo: cluster.clusterId });
  const second = await ask(cluster.port, node);
  assert.deepEqual(second.clientCertificate.spki, renewed.node.spki);
  assert.deepEqual(second.servingCertificate.spki, renewed.serving.spki);
  assert.deepEqual(second.clientCertificate.subject.der, first.clientCertificate.subject.der);
  assert.notDeepEqual(second.clientCertificate.serialNumber, first.clientCertificate.serialNumber);
  assert.equal(cluster.admissions.records.length, 1);
  assert.equal(cluster.events.at(-1)?.["purpose"], "renew");
});

Deno.test("a machine that was removed, or never admitted, gets no new certificates, and hears why", async () => {
  await using cluster = await TestCluster.create();
  const keys = await newNodeKeys();
  const never = await refusalOf(ask(cluster.port, await newNode(cluster.trust, { purpose: "renew", keys })));
  assert.equal(never.code, "refused/not-admitted");
  assert.match(never.details["seen"] ?? "", /removed/);
  assert.deepEqual(cluster.admissions.records, []);
  await ask(cluster.port, await newNode(cluster.trust, { keys }));
  const self = { name: "worker-2", address: "192.0.2.7", role: "worker" } as const;
  const other = await refusalOf(ask(cluster.port, await newNode(cluster.trust, { purpose: "renew", keys, self })));
  assert.equal(other.code, "refused/not-admitted");
  assert.equal(other.details["seen"], "worker worker-1");
  cluster.admissions.records.length = 0;
  const removed = await refusalOf(ask(cluster.port, await newNode(cluster.trust, { purpose: "renew", keys })));
  assert.equal(removed.code, "refused/not-admitted");
  assert.equal(removed.details["saidBy"], "peer");
  assert.deepEqual(cluster.admissions.records, []);
});

Deno.test("a member that is removed while it is judged gets no new certificates", async () => {
  await using cluster = await TestCluster.create();
  const keys = await newNodeKeys();
  await ask(cluster.port, await newNode(cluster.trust, { keys }));
  const { admissions } = cluster;
  await using racing = await TestCluster.create({
    operator: cluster.operator,
    ca: cluster.ca,
    service: {
      admissions: {
        find: (identity) => admissions.find(identity),
        stands: (identity, uid) => admissions.stands(identity, uid),
        admit: (record) => admissions.admit(record),
        renew: async (record) => {
          admissions.records.length = 0;
          return await admissions.renew(record);
        },
        recordCertificates: (identity, uid, certificates, asked) =>
          admissions.recordCertificates(identity, uid, certificates, asked),
      },
    },
  });
  const error = await refusalOf(ask(racing.port, await newNode(racing.trust, { purpose: "renew", keys })));
  assert.equal(error.code, "refused/not-admitted");
  assert.deepEqual([racing.signed, racing.signedServing], [[], []]);
});

Deno.test("a renewal is judged by the policy in force", async () => {
  await using cluster = await TestCluster.create();
  const keys = await newNodeKeys();
  await ask(cluster.port, await newNode(cluster.trust, { keys }));
  const { admissions, operator, ca } = cluster;
  await using strict = await TestCluster.create({
    ...{ operator, ca },
    verifier: {
      ...createInsecureVerifier(),
      verify: () => Promise.reject(refusal("pcr-4", "PCR 4 differs", "00", "11", "Look at the image")),
    },
    service: { admissions },
  });
  const error = await refusalOf(ask(strict.port, await newNode(strict.trust, { purpose: "renew", keys })));
  assert.deepEqual([error.code, error.details["expected"], error.details["seen"]], ["refused/pcr-4", "00", "11"]);
});

Deno.test("a renewal must show the cluster's lock, where the kind of evidence has a register for it", async () => {
  const machine = await ToyMachine.create();
  const { kind } = machine;
  const policy = { images: [machine.image], machines: new Set([machine.identity]) };
  const verifier = kind.createVerifier(policy, { now: () => new Date(), collateral: undefined as never });
  const seen: (Expectation["lock"])[] = [];
  await using cluster = await TestCluster.create({
    verifier: {
      ...verifier,
      verify: (evidence, statement, expectation, report) => {
        seen.push(expectation.lock);
        return verifier.verify(evidence, statement, expectation, report);
      },
    },
  });
  await measureTrust(machine, cluster.trust);
  const joined = await newNode(cluster.trust, { issuer: machine });
  await ask(cluster.port, joined);
  const renewing = await newNode(cluster.trust, { issuer: machine, purpose: "renew", lockedTo: cluster.clusterId });
  const error = await refusalOf(ask(cluster.port, renewing));
  assert.match(error.code, /^refused\//);
  assert.match(error.message, /lock/i);
  await measureLock(machine, cluster.clusterId);
  await ask(cluster.port, renewing);
  assert.deepEqual(seen.at(-1), [await lockDigest(cluster.clusterId)]);
  assert.equal(seen[0]?.length, 2);
});

Deno.test("a control plane's renewal gives certificates, and neither keys nor a place in the queue", async () => {
  const { ca } = await newKit();
  const asked: string[] = [];
  await using cluster = await TestCluster.create({
    ca,
    service: {
      roleOf: () => "control-plane",
      controlPlanes: {
        enter: () => Promise.resolve(void asked.push("enter")),
        release: () => Promise.resolve(void asked.push("release")),
        seal: () => (asked.push("seal"), Promise.reject(new Error("nothing is sealed"))),
      },
    },
  });
  const keys = await newNodeKeys();
  const self = { name: "cp-2", address: "192.0.2.8", role: "control-plane" } as const;
  const identity = { identity: (await newNode(cluster.trust, { keys })).issuer };
  const id = await identity.identity.ownIdentity("");
  await cluster.admissions.admit({
    ...{ identity: id, nodeName: "cp-2", role: "control-plane", nodeKey: "", addresses: [], evidenceDigest: "" },
  });
  const renewing = await newNode(cluster.trust, { keys, self, purpose: "renew" });
  const ticket = await ask(cluster.port, renewing);
  assert.equal(ticket.kit, undefined);
  const root = await Deno.makeTempDir();
  const paths = nodePaths(root);
  await Deno.mkdir(paths.state, { recursive: true });
  const staged = await new LockFile(paths.state).stage({
    ...{ owner: "join", clusterId: cluster.clusterId, time: new Date() } as const,
  });
  await staged.link();
  const attesting = (address: string) =>
    attestationWay({ paths, clock: systemClock, log: silentLog }, () =>
      Promise.resolve({
        ...{ trust: cluster.trust, self: { ...self, address }, kubeletVersion: KUBELET_VERSION },
        ...{ endpoints: [], issuer: renewing.issuer, identityKey: keys.identity },
      }))({
        ...{ role: "control-plane", installed: {}, urgency: "due", joinEndpoints: [`127.0.0.1:${cluster.port}`] },
        ...{ signal: AbortSignal.timeout(20_000), onFailure: (error) => assert.fail(error) },
      });
  const { certificates } = await attesting(self.address);
  assert.deepEqual(certificates.client.subject.der, ticket.clientCertificate.subject.der);
  assert.deepEqual((await readNodeCertificate(paths, "client"))?.der, certificates.client.der);
  await assert.rejects(
    attesting("127.0.0.1"),
    { code: "precondition/join-endpoints" },
    "it asks no service of its own",
  );
  assert.deepEqual(asked, []);
  await Deno.remove(root, { recursive: true });
});
