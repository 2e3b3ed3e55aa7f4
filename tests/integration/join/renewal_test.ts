import assert from "node:assert/strict";
import * as v from "valibot";
import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import {
  kubeletKubeconfigPath,
  nodeCertificatePath,
  readNodeCertificate,
} from "../../../kubernetes/kubelet_credentials.ts";
import { kubeletDenial } from "../../../kubernetes/kubelet_denial.ts";
import { pollUntil } from "../../../kubernetes/_poll.ts";
import { waitForNode } from "../../../kubernetes/readiness.ts";
import { recordMembership } from "../../../node/membership.ts";
import type { RenewalOutcome } from "../../../node/renewal.ts";
import { renewCertificates } from "../../../node/renewal.ts";
import { readRenewalRecord } from "../../../node/renewal_record.ts";
import { attestationWay, ownCaWay } from "../../../node/renewal_ways.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { swtpmTest } from "../attacks/attacks.ts";
import { TestCluster } from "../kubernetes/cluster.ts";
import { CLUSTER_NAME, freePort, policyFor, serviceState, startService, WAIT, Worker } from "./_join_worker.ts";

const NAME = "worker-1";
const POD = "/api/v1/namespaces/default/pods/talker";
/** Long enough for a join on a busy machine. */
const LONG_MS = 20 * 60_000;
/** A certificate of this lifetime ends while the test waits. It is backdated by five minutes, so that it is late at once. */
const SHORT_MS = 5_000;
const POLL = { ...WAIT, firstMs: 100, longestMs: 1_000, code: "timeout/node" } as const;
const leaseSchema = v.object({
  status: v.object({
    conditions: v.array(v.object({ type: v.string(), status: v.string(), lastHeartbeatTime: v.string() })),
  }),
});

/** Renews the certificates of a worker as its unit does. */
function renew(worker: Worker, patienceMs: number): Promise<RenewalOutcome> {
  const { paths, machine, setting, node } = worker;
  const parts = { paths, clock: systemClock, log: silentLog };
  const attesting = {
    trust: setting.trust,
    self: { name: node.name, address: node.ip, role: "worker" },
    endpoints: [],
    issuer: machine.issuer,
    kubeletVersion: "v1.36.3",
  } as const;
  return renewCertificates({
    ...parts,
    random: Math.random,
    attest: attestationWay(parts, () => Promise.resolve(attesting)),
    otherServices: () => Promise.resolve([]),
    bootedAt: new Date(0),
    denial: (name, signal) => kubeletDenial(paths, name, signal),
    issue: ownCaWay(parts, () => Promise.resolve(attesting.self)),
    patienceMs: { early: 0, due: patienceMs, late: patienceMs },
  }, new AbortController().signal);
}

/** What the API server answers to `kubectl logs`: it asks the kubelet, whose serving certificate it checks. */
async function logs(cluster: TestCluster): Promise<string> {
  const { code, output } = await cluster.controlPlane.run([
    ...["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "logs", "talker"] as const,
  ]);
  return code === 0 ? output : `failed: ${output}`;
}

async function serialOf(worker: Worker): Promise<string | undefined> {
  return (await readNodeCertificate(worker.paths, "client"))?.serialNumber.toHex();
}

/** The code with which the API server refuses the kubelet's own credentials, or `undefined`. */
async function refusalOf(worker: Worker): Promise<string | undefined> {
  using api = new KubernetesApi(await readKubeconfig(kubeletKubeconfigPath(worker.paths)));
  try {
    await api.get(`/api/v1/nodes/${NAME}`, v.unknown());
    return undefined;
  } catch (error) {
    if (error instanceof BootstrapError) return error.code;
    throw error;
  }
}

await swtpmTest("a worker's certificates last only as long as it proves itself", async (t) => {
  await using cluster = await TestCluster.create();
  const { admin } = cluster;
  const operator = await generateKeyPair("ed25519");
  const address = cluster.world.operatorAddress;
  const port = freePort(address);
  const trust = {
    ...TPM_SETTINGS,
    clusterName: CLUSTER_NAME,
    clusterId: new Uint8Array(0),
    operatorKeys: [operator.spki],
  };
  await using worker = await Worker.create(cluster, NAME, { trust, port, address });
  const folder = cluster.controlPlane.path("/var/lib/bootstrapper/join-service");
  const events: Record<string, unknown>[] = [];
  const serve = async (policy: string, lifetimeMs: number) => {
    await writeServiceState(folder, await serviceState(cluster, operator, policy, `${address}:${port}`));
    return await startService(folder, cluster.ca.folder, events, lifetimeMs);
  };
  const policy = policyFor(worker.machine);
  const runFolder = await Deno.makeTempDir();
  let first: string | undefined;

  await t.step("it joins, and the API server reaches its kubelet", async () => {
    await using _service = await serve(policy, LONG_MS);
    assert.equal(await worker.join(AbortSignal.timeout(240_000), runFolder), "joined");
    await recordMembership(worker.paths.state, systemClock);
    await waitForNode(admin, NAME, "ready", WAIT);
    first = await serialOf(worker);
    const spec = { nodeName: NAME, containers: [{ name: "c", image: "i" }], automountServiceAccountToken: false };
    const metadata = { name: "talker", namespace: "default" };
    await admin.create("/api/v1/namespaces/default/serviceaccounts", {
      ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } },
    }, v.unknown()).catch((error) => assert.equal(error.code, "conflict/already-exists"));
    await admin.create(
      "/api/v1/namespaces/default/pods",
      { apiVersion: "v1", kind: "Pod", metadata, spec },
      v.unknown(),
    );
    assert.equal(await logs(cluster), "a line of the stand-in\n");
    const record = await readRenewalRecord(worker.paths.state);
    assert.deepEqual(record?.joinEndpoints, [`${address}:${port}`]);
  });

  await t.step("its certificates end: neither side trusts the other any more", async () => {
    await using _service = await serve(policy, SHORT_MS);
    // Of twenty minutes, a third is not over. A certificate that is gone is replaced at once.
    assert.equal((await renew(worker, 60_000)).state, "early");
    await Deno.remove(nodeCertificatePath(worker.paths.kubelet, "client"));
    assert.equal((await renew(worker, 60_000)).state, "renewed");
    assert.notEqual(await serialOf(worker), first);
    const isRefused = async () => await refusalOf(worker) === "unauthorized/kubernetes-api" || undefined;
    await pollUntil(isRefused, { ...POLL, failure: "The API server accepts a certificate that has ended" });
    const failure = "The API server trusts a kubelet whose certificate has ended";
    await pollUntil(async () => /x509|certificate/.test(await logs(cluster)) || undefined, { ...POLL, failure });
  });

  await t.step("it proves itself again: both directions work with the new certificates", async () => {
    await using _service = await serve(policy, LONG_MS);
    const before = await serialOf(worker);
    const start = new Date();
    const outcome = await renew(worker, 60_000);
    assert.ok(outcome.state === "renewed" && outcome.record.attested !== undefined);
    assert.ok(Date.parse(outcome.record.attested) >= start.getTime());
    assert.notEqual(await serialOf(worker), before);
    assert.equal(await refusalOf(worker), undefined);
    const isHeard = async () => {
      const { status } = await admin.get(`/api/v1/nodes/${NAME}`, leaseSchema);
      const ready = status.conditions.find(({ type }) => type === "Ready");
      return ready?.status === "True" && Date.parse(ready.lastHeartbeatTime) > start.getTime() || undefined;
    };
    await pollUntil(isHeard, { ...POLL, failure: "The kubelet does not use its new certificate" });
    const isReached = async () => await logs(cluster) === "a line of the stand-in\n" || undefined;
    await pollUntil(isReached, { ...POLL, failure: "The API server does not reach the kubelet" });
    assert.ok(await admin.find(POD, v.unknown()) !== undefined);
  });

  await t.step("a kubelet with a certificate of another CA is not reached", async () => {
    const path = nodeCertificatePath(worker.paths.kubelet, "serving");
    const right = await Deno.readTextFile(path);
    const { code, output } = await worker.node.run([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"] as const,
      ...["-subj", `/O=system:nodes/CN=system:node:${NAME}`, "-addext", `subjectAltName=IP:${worker.node.ip}`],
      ...["-keyout", "/tmp/other.key", "-out", "/tmp/other.crt"],
    ]);
    assert.equal(code, 0, output);
    await Deno.writeTextFile(
      path,
      await Deno.readTextFile("/tmp/other.crt") + await Deno.readTextFile("/tmp/other.key"),
    );
    const failure = "The API server trusts a kubelet with a certificate of another CA";
    await pollUntil(async () => /x509/.test(await logs(cluster)) || undefined, { ...POLL, failure });
    await Deno.writeTextFile(path, right);
  });

  await t.step(
    "out of the policy it is not renewed, its record says why, and its certificates stay as they were",
    async () => {
      await using _service = await serve(policyFor({ identity: "ab".repeat(32) }), LONG_MS);
      const before = await serialOf(worker);
      await Deno.remove(nodeCertificatePath(worker.paths.kubelet, "serving"));
      await assert.rejects(renew(worker, 5_000), { code: "refused/ek-identity" });
      assert.equal(await serialOf(worker), before);
      const record = await readRenewalRecord(worker.paths.state);
      assert.equal(record?.refusal?.code, "refused/ek-identity");
      assert.equal(record?.refusal?.peer, `${address}:${port}`);
    },
  );
  await Deno.remove(runFolder, { recursive: true });
});
