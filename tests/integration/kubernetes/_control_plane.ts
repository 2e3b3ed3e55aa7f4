import assert from "node:assert/strict";
import * as v from "valibot";
import { EtcdCluster, type EtcdMember } from "../../../kubernetes/etcd.ts";
import type { JoinFacts } from "../../../kubernetes/documents.ts";
import { ownApiEndpoint } from "../../../kubernetes/documents.ts";
import { FIRST_EPOCH } from "../../../kubernetes/epochs.ts";
import { installFirstAuthorization } from "../../../kubernetes/first_authorization.ts";
import type { KubeadmRun } from "../../../kubernetes/kubeadm.ts";
import { pollUntil } from "../../../kubernetes/_poll.ts";
import {
  CONTROL_PLANE_JOIN_PHASES,
  ControlPlaneJoin,
  type ControlPlaneJoinPhase,
} from "../../../kubernetes/control_plane_join.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { waitForNode } from "../../../kubernetes/readiness.ts";
import { defaultTimeouts } from "../../../kubernetes/settings.ts";
import { systemClock } from "../../../platform/clock.ts";
import type { WorldNode } from "../../world_node.ts";
import { KUBEADM_DEADLINE_MS, nodeSubjectText, type TestCluster } from "./cluster.ts";

/** The keys and certificates that control planes share. */
const SHARED_KEYS = ["ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key"]
  .concat("etcd/ca.crt", "etcd/ca.key");

const DISCOVERY = "/etc/bootstrapper/discovery.conf";

const WAIT = { clock: systemClock, deadlineMs: 60_000 };

const nodesSchema = v.object({
  items: v.array(v.object({
    metadata: v.object({ name: v.string(), labels: v.record(v.string(), v.string()) }),
    spec: v.object({ taints: v.optional(v.array(v.object({ key: v.string() })), []) }),
  })),
});

/** A machine of the world that becomes a control plane of the test's cluster. */
export class JoiningControlPlane {
  readonly node: WorldNode;
  readonly join: ControlPlaneJoin;
  readonly facts: JoinFacts;
  readonly #cluster: TestCluster;

  private constructor(cluster: TestCluster, node: WorldNode, join: ControlPlaneJoin) {
    this.#cluster = cluster;
    this.node = node;
    this.join = join;
    const facts = { name: node.name, address: node.ip };
    this.facts = { node: facts, discoveryKubeconfigPath: DISCOVERY, timeouts: defaultTimeouts };
  }

  /**
   * Makes a machine with the cluster's keys and a ticket, and a stand-in for the kubelet that waits for its
   * configuration.
   */
  static async create(cluster: TestCluster, name: string): Promise<JoiningControlPlane> {
    const node = await cluster.world.node(name);
    const join = new ControlPlaneJoin({
      commands: node.commands,
      privateFolder: await Deno.makeTempDir(),
      kubernetesFolder: node.path("/etc/kubernetes"),
      kubeletFolder: node.path("/var/lib/kubelet"),
      etcdFolder: node.path("/var/lib/etcd"),
      clock: systemClock,
    });
    for (const file of SHARED_KEYS) {
      const path = `/etc/kubernetes/pki/${file}`;
      await node.write(path, await cluster.controlPlane.read(path));
    }
    const { server } = cluster;
    const ticket = await cluster.ca.client(nodeSubjectText(name));
    const parts = { clusterName: "test", userName: "ticket", server, caPem: await cluster.ca.certificate() };
    await node.write(DISCOVERY, kubeconfig({ ...parts, ...ticket }));
    await installFirstAuthorization(node.path("/etc/kubernetes"), FIRST_EPOCH);
    await cluster.ca.layCredentialsInto(node, `https://${ownApiEndpoint({ address: node.ip })}`);
    node.startKubeletStandIn();
    return new JoiningControlPlane(cluster, node, join);
  }

  /** Runs all steps. */
  async runAll(): Promise<void> {
    for (const { name } of CONTROL_PLANE_JOIN_PHASES) await this.run(name);
  }

  /** Runs one step. */
  run(step: ControlPlaneJoinPhase["name"], run: Partial<KubeadmRun> = {}): Promise<void> {
    return this.join.run(step, this.facts, { deadlineMs: KUBEADM_DEADLINE_MS, ...run });
  }

  /** Cuts the power and restores it. The kubelet starts at boot. */
  async restart(): Promise<void> {
    await this.node.powerOff();
    await this.node.powerOn();
    this.node.startKubeletStandIn();
  }

  /** Asserts that the node is Ready, was marked once, and has one of `controlPlanes` voters. */
  async assertWhole(controlPlanes: number): Promise<void> {
    const { name, ip } = this.node;
    await waitForNode(this.#cluster.admin, name, "ready", WAIT);
    const { items } = await this.#cluster.admin.get("/api/v1/nodes", nodesSchema);
    const own = items.filter(({ metadata }) => metadata.name === name);
    assert.equal(own.length, 1);
    assert.equal(own[0]?.metadata.labels["node-role.kubernetes.io/control-plane"], "");
    assert.equal(own[0]?.spec.taints.filter(({ key }) => key === "node-role.kubernetes.io/control-plane").length, 1);
    const members = await membersOf(this.#cluster);
    assert.equal(members.length, controlPlanes, JSON.stringify(members));
    assert.ok(members.every(({ isLearner }) => !isLearner), JSON.stringify(members));
    const voters = members.filter((member) => member.name === name);
    assert.deepEqual(voters.map(({ peerUrls }) => peerUrls), [[`https://${ip}:2380`]]);
    await assert.rejects(this.node.read("/etc/kubernetes/bootstrap-kubelet.conf"), Deno.errors.NotFound);
  }
}

/** Removes a node's member from etcd. */
export async function removeMember(cluster: TestCluster, node: WorldNode): Promise<void> {
  using etcd = await etcdOf(cluster);
  // etcd refuses for a while after a member has started.
  await pollUntil(async () => {
    const own = (await etcd.members()).filter(({ peerUrls }) => peerUrls.includes(`https://${node.ip}:2380`));
    for (const { id } of own) await etcd.remove(id);
    return true;
  }, { ...WAIT, firstMs: 100, longestMs: 1_000, code: "timeout/etcd", failure: `${node.name} was not removed` });
}

/** Adds a learner at a node's address that is never started, and returns its ID. */
export async function addLearner(cluster: TestCluster, node: WorldNode): Promise<string> {
  const peerUrl = `https://${node.ip}:2380`;
  const pki = "/etc/kubernetes/pki/etcd";
  const tls = ["--cacert", `${pki}/ca.crt`, "--cert", `${pki}/healthcheck-client.crt`];
  const { code, output } = await cluster.controlPlane.run([
    ...["etcdctl", "--endpoints=https://127.0.0.1:2379", ...tls, "--key", `${pki}/healthcheck-client.key`] as const,
    ...["member", "add", "stale", "--learner", `--peer-urls=${peerUrl}`],
  ]);
  assert.equal(code, 0, output);
  return (await membersOf(cluster)).find(({ peerUrls }) => peerUrls.includes(peerUrl))?.id ?? assert.fail();
}

/** Removes a control plane from the cluster and powers it off, as if it had never existed. */
export async function removeControlPlane(cluster: TestCluster, node: WorldNode): Promise<void> {
  await removeMember(cluster, node);
  await node.powerOff();
  const { admin } = cluster;
  await admin.remove(`/api/v1/nodes/${node.name}`);
  for (const component of ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]) {
    const pod = `/api/v1/namespaces/kube-system/pods/${component}-${node.name}`;
    if (await admin.find(pod, v.unknown()) === undefined) continue;
    // A Pod that has ended can be deleted at once.
    await admin.merge(`${pod}/status`, { status: { phase: "Succeeded" } }, v.unknown());
    await admin.remove(pod);
  }
}

/** A client of the cluster's etcd, with the first control plane as its endpoint. */
export async function etcdOf({ controlPlane }: TestCluster): Promise<EtcdCluster> {
  const pem = (name: string) => controlPlane.read(`/etc/kubernetes/pki/etcd/${name}`);
  return new EtcdCluster([`${controlPlane.ip}:2379`], {
    caPem: await pem("ca.crt"),
    certificatePem: await pem("healthcheck-client.crt"),
    keyPem: await pem("healthcheck-client.key"),
  });
}

/** The members of the cluster's etcd. */
export async function membersOf(cluster: TestCluster): Promise<readonly EtcdMember[]> {
  using etcd = await etcdOf(cluster);
  return await etcd.members();
}
