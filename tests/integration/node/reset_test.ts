/**
 * `bootstrapper reset` with the real kubeadm and a real etcd. The node ends as a fresh one, wherever the reset was
 * killed.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "yaml";
import type { EtcdMember } from "../../../kubernetes/etcd.ts";
import { EtcdCluster } from "../../../kubernetes/etcd.ts";
import { leaveEtcd } from "../../../node/own_etcd.ts";
import { nodePaths } from "../../../node/paths.ts";
import type { ResetDependencies } from "../../../node/reset.ts";
import { RESET_STEPS, resetNode } from "../../../node/reset.ts";
import { checkNoReset, isResetUnderWay } from "../../../node/reset_marker.ts";
import { LockFile } from "../../../nodelock/file.ts";
import { takeRunLock } from "../../../nodelock/run_lock.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLog } from "../../../platform/log.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { WorldNode } from "../../world_node.ts";
import { initDocumentsFor, KUBEADM_DEADLINE_MS, kubeadmOn, TestCa, TestCluster } from "../kubernetes/cluster.ts";
import type { RunMachine } from "./run_machine.ts";
import { CLUSTER_NAME, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import { BOOTSTRAPPER, BootstrapperProcess } from "./run_process.ts";

const FOLDERS = ["/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/bootstrapper"];
/** The boot leaves this file as well, as `measure` takes the run lock. */
const RUN_LOCK = "/var/lib/bootstrapper/run.lock";
const OPERATOR_KEY = "MCowBQYDK2VwAyEA1111111111111111111111111111111111111111111=";

/** Every path below the node's folders, with its kind. */
async function tree(node: WorldNode): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string) => {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(node.path(folder))) {
      const path = join(folder, name);
      if (path === RUN_LOCK) continue;
      found.push(`${path}${isDirectory ? "/" : isSymlink ? "@" : ""}`);
      if (isDirectory) await walk(path);
    }
  };
  for (const folder of FOLDERS) await walk(folder);
  return found.sort();
}

/** Makes a node a control plane with kubeadm, with all files that the bootstrapper keeps on one. */
async function makeMember({ node, systemctl }: Pick<RunMachine, "node" | "systemctl">): Promise<void> {
  const ca = await TestCa.create();
  await ca.layInto(node);
  await Deno.remove(ca.folder, { recursive: true });
  await systemctl("start", "kubelet");
  await (await kubeadmOn(node)).init(initDocumentsFor(node), { deadlineMs: KUBEADM_DEADLINE_MS });
  const state = node.path("/var/lib/bootstrapper");
  const lock = await new LockFile(state).stage({
    ...{ owner: "init", clusterId: new Uint8Array(32).fill(7), time: new Date() },
  });
  await lock.link();
  // The join service of an earlier version may have let others in.
  const files = [
    "join-service/state.json",
    "journal/init",
    "member",
    "init/ca.key",
    "join-service/service.key",
    "timeline.json",
    ".x.1.tmp",
  ];
  for (const name of files) await node.write(`/var/lib/bootstrapper/${name}`, "left from the cluster\n");
  await node.run(["sh", "-ec", "mkdir -p /run/bootstrapper && echo key >/run/bootstrapper/node.key"]);
}

function resetOf(node: WorldNode): ResetDependencies {
  const root = node.path("/etc/kubernetes").slice(0, -"/etc/kubernetes".length);
  return {
    ...{ paths: nodePaths(root), commands: node.commands, clock: systemClock, log: silentLog, force: true },
    openEtcd: (endpoints, credentials) => new EtcdCluster(endpoints, credentials),
  };
}

async function reset(node: WorldNode, ...args: readonly string[]) {
  const { code, output } = await node.run([...BOOTSTRAPPER, "reset", ...args, "--output", "json"], { log: "reset" });
  const last = output.trimEnd().split("\n").findLast((line) =>
    line.startsWith('{"state"') || line.startsWith('{"error"')
  );
  return { code, output, ...JSON.parse(last ?? "{}") };
}

Deno.test("reset makes a control plane fresh again", async (t) => {
  await using world = await RunWorld.create();
  const machine = await world.machine("cp-1", OPERATOR_KEY, { init: true });
  const { node } = machine;
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const fresh = await tree(node);
  await makeMember({ node, systemctl: (...args) => machine.systemctl(...args) });
  const before = await tree(node);
  assert.ok(before.length > fresh.length + 30);

  await step("it refuses without confirmation or if etcd would lose its last voter, and changes nothing", async () => {
    const unasked = await reset(node, "--force");
    assert.deepEqual([unasked.code, unasked.error.code], [2, "usage/no-terminal"], unasked.output);
    const last = await reset(node, "--yes");
    assert.deepEqual([last.code, last.error.code], [1, "precondition/etcd-quorum"], last.output);
    assert.match(last.error.next, /--force/);
    assert.deepEqual(
      (await tree(node)).filter((path) => !path.startsWith("/var/lib/etcd/")),
      before.filter((path) => !path.startsWith("/var/lib/etcd/")),
    );
    await machine.systemctl("is-active", "kubelet");
  });

  await step("it refuses while a bootstrapper is running", async () => {
    using _held = await takeRunLock(node.path("/var/lib/bootstrapper"));
    assert.equal((await reset(node, "--yes", "--force")).error.code, "conflict/run");
  });

  await step("with --force it removes everything, and reports what is left to do", async () => {
    const done = await reset(node, "--yes", "--force");
    assert.equal(done.code, 0, done.output);
    assert.equal(done.state, "fresh");
    assert.match(done.warnings.join("\n"), /did not leave etcd/);
    assert.match(done.next.join("\n"), /bootstrapper node remove/);
    assert.deepEqual(await tree(node), fresh);
    assert.equal((await node.run(["ls", "-A", "/run/bootstrapper"])).output, "");
    await assert.rejects(machine.systemctl("is-active", "kubelet"));
  });

  await step("the node can be initialised again", async () => {
    await makeMember({ node, systemctl: (...args) => machine.systemctl(...args) });
  });

  await step("after kill -9 in the middle it goes on; until then its mark stops all other commands", async () => {
    const running = BootstrapperProcess.start(node, ["reset", "--yes", "--force"], "reset-killed");
    const state = node.path("/var/lib/bootstrapper");
    await waitUntil({ what: "mark", deadlineMs: KUBEADM_DEADLINE_MS, everyMs: 1 }, () => isResetUnderWay(state));
    await running.kill();
    await assert.rejects(checkNoReset(state), { code: "precondition/reset-under-way" });
    const done = await reset(node, "--yes", "--force");
    assert.equal(done.code, 0, done.output);
    await checkNoReset(state);
    assert.deepEqual(await tree(node), fresh);
  });

  await step("killed after each step, one after the other, it goes on", async () => {
    await makeMember({ node, systemctl: (...args) => machine.systemctl(...args) });
    const deps = resetOf(node);
    for (const { name } of RESET_STEPS) {
      const killed = resetNode(deps, (step, state) => {
        if (step.name === name && state === "done") throw new Error(`killed after ${name}`);
      });
      await assert.rejects(killed, { message: `killed after ${name}` });
      await assert.rejects(checkNoReset(deps.paths.state), { code: "precondition/reset-under-way" });
    }
    await resetNode(deps, () => {});
    await checkNoReset(deps.paths.state);
    assert.deepEqual(await tree(node), fresh);
  });

  await step("on a fresh node it changes nothing", async () => {
    assert.equal((await reset(node, "--yes")).code, 0);
    assert.deepEqual(await tree(node), fresh);
  });
});

Deno.test("a node that was initialised by run is reset, and refuses to run in between", async (t) => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const machine = await world.machine("cp-1", operator.publicKey, { init: true });
  const initialise = async (name: string) => {
    const running = machine.start();
    await running.event({ event: "init-server-listening" });
    const init = operator.init(machine);
    assert.equal(await init.exitCode(), 0, `${name}: ${await init.output()}`);
    assert.equal(await running.exitCode(), 0, await running.output());
    assert.deepEqual(await operator.nodes(), ["node/cp-1"]);
  };
  const fresh = await tree(machine.node);

  await t.step("an operator makes it the first control plane", () => initialise("first"));

  await t.step("killed in the middle of a reset, it refuses to run until the reset has ended", async () => {
    const state = machine.node.path("/var/lib/bootstrapper");
    const killed = BootstrapperProcess.start(machine.node, ["reset", "--yes", "--force"], "reset-killed");
    await waitUntil({ what: "mark", deadlineMs: KUBEADM_DEADLINE_MS, everyMs: 1 }, () => isResetUnderWay(state));
    await killed.kill();
    const running = machine.start();
    assert.equal(await running.exitCode(), 1, await running.output());
    await running.event({ event: "run-failed", code: "precondition/reset-under-way" });
    const done = await reset(machine.node, "--yes", "--force");
    assert.equal(done.code, 0, done.output);
    assert.deepEqual(await tree(machine.node), fresh);
  });

  await t.step("the operator abandons the cluster, and founds another on the same machine", async () => {
    const folder = "/etc/bootstrapper/operator/records";
    const abandon = [...BOOTSTRAPPER, "abandon", CLUSTER_NAME, "--records", folder] as const;
    const { code, output } = await operator.laptop.run([...abandon]);
    assert.equal(code, 0, output);
    await initialise("second");
  });
});

/**
 * Makes a node the second voting member of a cluster's etcd, with a manifest as kubeadm writes it. The test itself runs
 * etcd.
 */
async function joinEtcd(first: WorldNode, node: WorldNode): Promise<void> {
  const pki = "/etc/kubernetes/pki/etcd";
  for (const name of ["ca.crt", "ca.key"]) await node.write(`${pki}/${name}`, await first.read(`${pki}/${name}`));
  await node.write("/etc/kubernetes/kubeadm.yaml", initDocumentsFor(node));
  for (const name of ["etcd-server", "etcd-peer", "etcd-healthcheck-client"]) {
    await run(node, "kubeadm", "init", "phase", "certs", name, "--config=/etc/kubernetes/kubeadm.yaml");
  }
  const peer = `https://${node.ip}:2380`;
  const ctl = async (...args: string[]) => {
    const tls = [
      `--cacert=${pki}/ca.crt`,
      `--cert=${pki}/healthcheck-client.crt`,
      `--key=${pki}/healthcheck-client.key`,
    ];
    await run(first, "etcdctl", "--endpoints=127.0.0.1:2379", ...tls, ...args);
  };
  await ctl("member", "add", node.name, "--learner", `--peer-urls=${peer}`);
  const learner = (await members(first)).find(({ isLearner }) => isLearner);
  assert.ok(learner !== undefined);
  const certificates = (prefix: string, kind: string) => [
    ...[`--${prefix}cert-file=${pki}/${kind}.crt`, `--${prefix}key-file=${pki}/${kind}.key`],
    ...[`--${prefix}trusted-ca-file=${pki}/ca.crt`, `--${prefix}client-cert-auth=true`],
  ];
  const command: [string, ...string[]] = [
    ...["etcd", `--name=${node.name}`, "--data-dir=/var/lib/etcd", "--initial-cluster-state=existing"] as const,
    ...[`--advertise-client-urls=https://${node.ip}:2379`, `--listen-client-urls=https://${node.ip}:2379`],
    ...[`--initial-advertise-peer-urls=${peer}`, `--listen-peer-urls=${peer}`],
    `--initial-cluster=${first.name}=https://${first.ip}:2380,${node.name}=${peer}`,
    ...[...certificates("", "server"), ...certificates("peer-", "peer")],
  ];
  const pod = { apiVersion: "v1", kind: "Pod", spec: { containers: [{ name: "etcd", command }] } };
  await node.write("/etc/kubernetes/manifests/etcd.yaml", stringify(pod));
  node.start(command, { log: "etcd" });
  // etcd promotes a learner only after it has caught up.
  await waitUntil(
    { what: "second voter", deadlineMs: KUBEADM_DEADLINE_MS },
    () => ctl("member", "promote", learner.id).then(() => true, () => false),
  );
}

async function run(node: WorldNode, ...argv: [string, ...string[]]): Promise<void> {
  const { code, output } = await node.run(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${output}`);
}

async function members(node: WorldNode): Promise<readonly EtcdMember[]> {
  const pem = (name: string) => node.read(`/etc/kubernetes/pki/etcd/${name}`);
  const credentials = {
    caPem: await pem("ca.crt"),
    certificatePem: await pem("healthcheck-client.crt"),
    keyPem: await pem("healthcheck-client.key"),
  };
  using etcd = new EtcdCluster([`${node.ip}:2379`], credentials);
  return await etcd.members();
}

Deno.test("reset leaves etcd cleanly, and only if enough members remain", async (t) => {
  await using cluster = await TestCluster.create();
  const { controlPlane, world } = cluster;
  const node = await world.node("cp-2");
  const peers: string[] = [];
  const leave = () =>
    leaveEtcd({
      ...{ kubernetesFolder: node.path("/etc/kubernetes"), peers, force: false, openEtcd: resetOf(node).openEtcd },
      clock: systemClock,
      remember: (found) => Promise.resolve(void peers.splice(0, peers.length, ...found)),
    });

  await t.step("a second voter leaves, and the first one goes on alone", async () => {
    await joinEtcd(controlPlane, node);
    assert.deepEqual((await members(controlPlane)).map(({ name }) => name).sort(), ["cp-1", "cp-2"]);
    assert.match((await leave()).outcome, /^removed the member/);
    assert.deepEqual((await members(controlPlane)).map(({ name, isLearner }) => [name, isLearner]), [["cp-1", false]]);
    assert.deepEqual(peers, [`https://${controlPlane.ip}:2379`]);
  });

  await t.step("run again, it learns from the other member that it has left", async () => {
    assert.deepEqual(await leave(), { outcome: "it had left before" });
  });
});
