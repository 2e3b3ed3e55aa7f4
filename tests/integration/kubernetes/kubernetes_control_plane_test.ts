import assert from "node:assert/strict";
import { join } from "node:path";
import { CONTROL_PLANE_JOIN_PHASES, type ControlPlaneJoinPhase } from "../../../kubernetes/control_plane_join.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { WorldNode } from "../../world_node.ts";
import { TestCluster } from "./cluster.ts";
import { addLearner, JoiningControlPlane, membersOf, removeControlPlane, removeMember } from "./_control_plane.ts";
import { AnnouncementCheck } from "./kubeadm_announcements.ts";

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

/** The line that kubeadm prints at the end of every process. */
const LAST_LINE = /^This node has joined the cluster/;
/** Lines within the phase of etcd: the member was added, its manifest is being written, it is being promoted. */
const WITHIN_ETCD = [/^\[etcd\] Announced/, /^\[etcd\] Creating/, /^\[etcd\] Waiting/];

interface Cut {
  readonly step: ControlPlaneJoinPhase["name"];
  readonly line: RegExp;
}

/** Where the power is cut: within etcd's step, and at each step's end. The crash matrix covers kills of kubeadm. */
const CUTS: readonly Cut[] = CONTROL_PLANE_JOIN_PHASES.flatMap(({ name: step }) =>
  [...(step === "etcd" ? WITHIN_ETCD : []), LAST_LINE].map((line) => ({ step, line }))
);

/** Every file below a folder of the node's disk, with its time of change and its content. */
async function filesOf(node: WorldNode, folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(node.path(folder))) {
    const path = join(folder, name);
    if (isDirectory) Object.assign(found, await filesOf(node, path));
    else found[path] = `${(await Deno.stat(node.path(path))).mtime?.toISOString()} ${await node.read(path)}`;
  }
  return found;
}

Deno.test("ControlPlaneJoin makes two machines voters of one etcd, and changes nothing when it is run again", async (t) => {
  await using cluster = await TestCluster.create();
  for (const [index, name] of ["cp-2", "cp-3"].entries()) {
    await t.step(`${name} joins`, async () => {
      const machine = await JoiningControlPlane.create(cluster, name);
      for (const phase of CONTROL_PLANE_JOIN_PHASES) {
        const announcements = new AnnouncementCheck();
        await machine.run(phase.name, { onProgress: announcements.listen });
        announcements.assert(phase.name);
      }
      await machine.assertWhole(2 + index);
      const members = await membersOf(cluster);
      const files = await filesOf(machine.node, "/etc/kubernetes");
      await machine.runAll();
      await machine.assertWhole(2 + index);
      assert.deepEqual(await membersOf(cluster), members);
      assert.deepEqual(await filesOf(machine.node, "/etc/kubernetes"), files);
    });
  }
});

Deno.test("ControlPlaneJoin ends as one complete member after a power cut", async (t) => {
  await using cluster = await TestCluster.create();
  for (const [index, { step, line }] of CUTS.entries()) {
    await t.step(`in ${step} at ${line.source}`, async () => {
      const machine = await JoiningControlPlane.create(cluster, `cut-${index}`);
      const kill = new AbortController();
      for (const { name } of CONTROL_PLANE_JOIN_PHASES) {
        if (name === step) break;
        await machine.run(name);
      }
      const cut = machine.run(step, { signal: kill.signal, onLine: (text) => line.test(text) && kill.abort() });
      await assert.rejects(cut, codeIs("aborted/command"));
      await machine.restart();
      await machine.runAll();
      await machine.assertWhole(2);
      await removeControlPlane(cluster, machine.node);
    });
  }
});

Deno.test("ControlPlaneJoin repairs the remains of an earlier member, and files that a power cut tore", async (t) => {
  await using cluster = await TestCluster.create();
  const machine = await JoiningControlPlane.create(cluster, "cp-2");
  const { node } = machine;
  const idOf = async () => (await membersOf(cluster)).find(({ name }) => name === node.name)?.id;

  await t.step("etcd's step can be repeated after a failure, for instance while there is a learner", async () => {
    await machine.run("prepare");
    const other = await cluster.world.node("cp-9");
    const learnerId = await addLearner(cluster, other);
    const impatient = { ...machine.facts, timeouts: { ...machine.facts.timeouts, etcdAPICall: "3s" } };
    await assert.rejects(machine.join.run("etcd", impatient, { deadlineMs: 60_000 }), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "unavailable/etcd" && error.retriable, String(error));
      return true;
    });
    await removeMember(cluster, other);
    assert.ok((await membersOf(cluster)).every(({ id }) => id !== learnerId));
  });

  await t.step("a learner with this node's address that never started is replaced", async () => {
    const learnerId = await addLearner(cluster, node);
    await machine.runAll();
    await machine.assertWhole(2);
    assert.notEqual(await idOf(), learnerId);
  });

  await JoiningControlPlane.create(cluster, "cp-3").then((other) => other.runAll());

  await t.step("a kubelet that has joined needs no ticket", async () => {
    await Deno.remove(node.path(machine.facts.discoveryKubeconfigPath));
    await machine.run("finish");
  });

  await t.step("a voter whose manifests, certificates and kubeconfigs are torn stays the same member", async () => {
    const id = await idOf();
    await node.powerOff();
    const torn = ["manifests/etcd.yaml", "manifests/kube-apiserver.yaml", "pki/apiserver.crt", "pki/etcd/peer.key"];
    for (const path of torn) await node.write(`/etc/kubernetes/${path}`, "");
    await node.powerOn();
    node.startKubeletStandIn();
    await machine.runAll();
    await machine.assertWhole(3);
    assert.equal(await idOf(), id);
  });

  await t.step("data of a member that was removed is never used again", async () => {
    const id = await idOf();
    await node.powerOff();
    await removeMember(cluster, node);
    await node.powerOn();
    node.startKubeletStandIn();
    await machine.runAll();
    await machine.assertWhole(3);
    assert.notEqual(await idOf(), id);
  });

  await t.step("prepare names the cluster's keys that are missing", async () => {
    await node.write("/etc/kubernetes/pki/sa.key", "");
    await assert.rejects(machine.run("prepare"), (error: unknown) => {
      assert.ok(codeIs("precondition/cluster-keys")(error) && error instanceof BootstrapError, String(error));
      assert.equal(error.details.missing, "sa.key, sa.pub");
      return true;
    });
  });
});
