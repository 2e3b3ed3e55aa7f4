import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import { systemClock } from "../platform/clock.ts";
import { layJoined, Machine } from "./testing/machine.ts";
import { CONTROL_PLANE_JOIN_PHASES, ControlPlaneJoin } from "./control_plane_join.ts";
import { defaultTimeouts } from "./settings.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const SHARED = ["ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key"]
  .concat("etcd/ca.crt", "etcd/ca.key");
const FACTS = {
  node: { name: "cp-2", address: "10.0.0.2" },
  discoveryKubeconfigPath: "/run/bootstrapper/discovery.conf",
  timeouts: defaultTimeouts,
};
const RUN = { deadlineMs: 1000 };
const SYNC = ["sync", "--file-system", "…/kubernetes", "…/kubelet"];
const PREPARE =
  "--skip-phases=preflight,check-etcd,etcd-join,kubelet-wait-bootstrap,control-plane-join,wait-control-plane";
const FINISH = "--skip-phases=preflight,check-etcd,control-plane-prepare,kubelet-start,etcd-join";

async function write(machine: Machine, path: string, content = PEM): Promise<void> {
  await Deno.mkdir(dirname(join(machine.folder, path)), { recursive: true });
  await Deno.writeTextFile(join(machine.folder, path), content);
}

async function machineWithKeys(): Promise<Machine> {
  const machine = await Machine.create();
  for (const name of SHARED) await write(machine, `kubernetes/pki/${name}`);
  return machine;
}

/** Writes all files that a control plane has when `prepare` is done and the kubelet has joined. */
async function layPrepared(machine: Machine): Promise<void> {
  await layJoined(machine);
  const leaves = ["apiserver", "apiserver-kubelet-client", "front-proxy-client", "apiserver-etcd-client"]
    .concat("etcd/server", "etcd/peer", "etcd/healthcheck-client");
  for (const name of leaves) for (const end of ["key", "crt"]) await write(machine, `kubernetes/pki/${name}.${end}`);
  const kubelet = await Deno.readTextFile(join(machine.folder, "kubernetes/kubelet.conf"));
  for (const name of ["admin", "controller-manager", "scheduler"]) {
    await write(machine, `kubernetes/${name}.conf`, kubelet);
  }
  for (const name of ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]) {
    await write(machine, `kubernetes/manifests/${name}.yaml`, "apiVersion: v1\nkind: Pod\nspec: {}\nstatus: {}\n");
  }
}

const joinOf = (machine: Machine) => new ControlPlaneJoin({ ...machine.parts, clock: systemClock });

Deno.test("CONTROL_PLANE_JOIN_PHASES run each phase of kubeadm but the checks once, in kubeadm's order", () => {
  assert.deepEqual(CONTROL_PLANE_JOIN_PHASES.map(({ name }) => name), ["prepare", "etcd", "finish"]);
  assert.deepEqual(CONTROL_PLANE_JOIN_PHASES.flatMap(({ kubeadmPhases }) => kubeadmPhases), [
    ...["control-plane-prepare", "kubelet-start", "etcd-join"],
    ...["kubelet-wait-bootstrap", "control-plane-join", "wait-control-plane"],
  ]);
});

Deno.test("run() gives kubeadm the control plane's document and only the step's phases, and forces the result to disk", async () => {
  await using machine = await machineWithKeys();
  await joinOf(machine).run("prepare", FACTS, RUN);
  await joinOf(machine).run("finish", FACTS, RUN);
  const calls = [PREPARE, FINISH].flatMap((skip) => [["kubeadm", "join", skip, "--config=…"], SYNC]);
  assert.deepEqual(machine.calls, calls);
  for (const { mode, text } of machine.configs) {
    assert.equal(mode, 0o600);
    assert.match(text, /controlPlane:\n {2}localAPIEndpoint:\n {4}advertiseAddress: 10\.0\.0\.2\n/);
  }
});

Deno.test("run() refuses to prepare when a key of the cluster is missing or torn, as kubeadm would make another", async () => {
  for (const name of SHARED) {
    await using machine = await machineWithKeys();
    await Deno.truncate(join(machine.folder, "kubernetes/pki", name), 10);
    await assert.rejects(joinOf(machine).run("prepare", FACTS, RUN), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "precondition/cluster-keys", name);
      assert.ok(error.details.missing?.split(", ").includes(name), String(error.details.missing));
      return true;
    });
    assert.deepEqual(machine.calls, []);
  }
});

Deno.test("run() skips kubeadm when all is prepared, and keeps the kubelet of a member running", async () => {
  await using machine = await machineWithKeys();
  await layPrepared(machine);
  await joinOf(machine).run("prepare", FACTS, RUN);
  const systemctl = (verb: string) => ["systemctl", verb, "kubelet.service"];
  assert.deepEqual(machine.calls, [systemctl("stop"), systemctl("start"), SYNC]);
});

Deno.test("run() prepares anew but leaves the kubelet alone when it has joined and a file is torn", async () => {
  await using machine = await machineWithKeys();
  await layPrepared(machine);
  await write(machine, "kubernetes/manifests/kube-apiserver.yaml", "");
  await joinOf(machine).run("prepare", FACTS, RUN);
  assert.doesNotMatch(machine.configs[0]?.text ?? "", /discovery\.conf/);
  const skip = machine.calls.find(([program]) => program === "kubeadm")?.[2] ?? "";
  assert.ok(skip.split(/[=,]/).includes("kubelet-start"), skip);
  assert.ok(!skip.split(/[=,]/).includes("control-plane-prepare"), skip);
});

Deno.test("run() uses the ticket until the kubelet has joined, and then the kubelet's certificate", async () => {
  await using machine = await machineWithKeys();
  let discovery = "";
  const run = machine.run.bind(machine);
  machine.run = async (argv, options) => {
    const result = await run(argv, options);
    const path = /kubeConfigPath: (.*)/.exec(machine.configs.at(-1)?.text ?? "")?.[1] ?? "";
    if (argv[0] === "kubeadm") discovery = await Deno.readTextFile(path).catch(() => path);
    return result;
  };
  await joinOf(machine).run("finish", FACTS, RUN);
  assert.equal(discovery, FACTS.discoveryKubeconfigPath);
  await layPrepared(machine);
  const admin = join(machine.folder, "kubernetes/admin.conf");
  await Deno.writeTextFile(admin, (await Deno.readTextFile(admin)).replace("https://a:1", "https://endpoint:6443"));
  await joinOf(machine).run("finish", FACTS, RUN);
  assert.match(discovery, /server: https:\/\/endpoint:6443\n/);
  await Deno.truncate(admin);
  await joinOf(machine).run("finish", FACTS, RUN);
  assert.equal(discovery, FACTS.discoveryKubeconfigPath);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(join(machine.folder, "private"))), []);
});

Deno.test("run() succeeds when kubeadm refuses because the kubelet has joined meanwhile, or fails", async () => {
  await using machine = await machineWithKeys();
  const refused = { code: 1, stderr: "error: error execution phase kubelet-start: a Node already exists" };
  machine.answer(refused);
  await assert.rejects(joinOf(machine).run("prepare", FACTS, RUN), /already exists/);
  machine.answer(refused);
  const run = machine.run.bind(machine);
  machine.run = async (argv, options) => {
    if (argv[0] === "kubeadm") await layJoined(machine);
    return await run(argv, options);
  };
  await joinOf(machine).run("prepare", FACTS, RUN);
  assert.deepEqual(machine.calls.at(-1), SYNC);
});

Deno.test("run() reports by kubeadm's phase whether a failure is retriable", async () => {
  const cases: readonly [string, boolean][] = [
    ["kubelet-wait-bootstrap: failed while waiting for TLS bootstrap: context deadline exceeded", true],
    ["control-plane-join/mark-control-plane: error applying control-plane label and taints", true],
    ["wait-control-plane: failed while waiting for the control plane to start", true],
    ["control-plane-prepare/certs: unable to fetch the kubeadm-config ConfigMap: connection refused", true],
    ["control-plane-prepare/certs: couldn't validate the identity of the API Server: timeout", true],
    ["control-plane-prepare/certs: certificate apiserver is not signed by corresponding CA", false],
  ];
  await using machine = await machineWithKeys();
  for (const [text, retriable] of cases) {
    machine.answer({ code: 1, stderr: `error: error execution phase ${text}` });
    await assert.rejects(joinOf(machine).run("finish", FACTS, RUN), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "system/kubeadm");
      assert.equal(error.retriable, retriable, text);
      return true;
    });
  }
  machine.answer({ code: 1, stderr: "error: unknown flag" });
  await assert.rejects(
    joinOf(machine).run("finish", FACTS, RUN),
    (error: unknown) => error instanceof BootstrapError && !error.retriable,
  );
});
