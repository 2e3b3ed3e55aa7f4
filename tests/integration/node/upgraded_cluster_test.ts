/**
 * A cluster that was founded with one version of Kubernetes and upgraded by hand: control planes and workers join it with
 * its version of now. kubeadm of both versions, etcd, the API server and the TPMs' software are the real ones. The programs
 * that the static Pods start stay those of the earlier version. The kubelet is a stand-in, so that `kubeadm upgrade` makes
 * no trial Job.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { hasSwtpm, startSwtpm } from "../../swtpm.ts";
import { kubernetesVersion, nextKubernetesVersion } from "../../tools/go_tools.ts";
import { prepareNextKubeadm } from "../../tools/prepare_binaries.ts";
import { identityOf, policyOf } from "./_tpm_policy.ts";
import type { WorldNode } from "../../world_node.ts";
import { type RunMachine, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import { BOOTSTRAPPER } from "./run_process.ts";

/** The patch that kubeadm of {@linkcode kubernetesVersion} takes with `--force`. The programs stay the same. */
const PATCH = "v1.36.4";
const NOT_IN_THE_WORLD = ["CreateJob", "ContainerRuntimeVersion", "CRI", "ImagePull", "SystemVerification"]
  .concat("CoreDNSUnsupportedPlugins", "CoreDNSMigration");
/** As the plan has it. */
const SKIPPED = "--skip-phases=bootstrap-token";
const LOAD_IMAGES = "ctr --namespace k8s.io images import --label io.cri-containerd.image=managed " +
  "/usr/local/sbin/empty-images.tar";
const KUBEADM_DEADLINE_MS = 300_000;
const isThere = await hasSwtpm();
const missing = isThere ? "" : " -- IGNORED: swtpm and swtpm-tools are not installed";

const OBJECTS = "configmaps,secrets,pods,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings," +
  "customresourcedefinitions,nodeadmissions,nodeevidences";
const objectsSchema = v.object({
  items: v.array(v.object({
    kind: v.string(),
    metadata: v.object({ name: v.string(), uid: v.string(), resourceVersion: v.string() }),
  })),
});
const planSchema = v.object({
  from: v.string(),
  state: v.string(),
  remarks: v.array(v.string()),
  blocks: v.array(v.object({ check: v.string(), nodeName: v.nullable(v.string()) })),
  steps: v.array(v.object({ nodeName: v.string(), action: v.string(), commands: v.array(v.string()) })),
});
const checksOf = ({ blocks }: v.InferOutput<typeof planSchema>) =>
  blocks.map(({ check, nodeName }) => [check, nodeName]);

/** The files of machines and of the operator, with content and time. */
async function filesOf(
  nodes: readonly (RunMachine | WorldNode)[],
): Promise<readonly (readonly [path: string, text: string])[]> {
  const found: [string, string][] = [];
  const walk = async (folder: string) => {
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) await walk(path);
      if (!isFile) continue;
      const { mtime } = await Deno.stat(path);
      found.push([path, `${mtime?.toISOString()} ${new Uint8Array(await Deno.readFile(path)).toBase64()}`]);
    }
  };
  for (const one of nodes) {
    const node = "node" in one ? one.node : one;
    for (const folder of ["/etc/kubernetes", "/etc/bootstrapper", "/var/lib/bootstrapper"]) {
      await walk(node.path(folder));
    }
  }
  return found.sort(([one], [other]) => one < other ? -1 : 1);
}

/** Runs `kubeadm upgrade` on a machine, as an administrator does. */
async function upgrade({ node }: RunMachine, ...argv: readonly string[]): Promise<string> {
  const all = ["kubeadm", "upgrade", ...argv, `--ignore-preflight-errors=${NOT_IN_THE_WORLD.join(",")}`] as const;
  const { code, output } = await node.run(all, { deadlineMs: KUBEADM_DEADLINE_MS, log: `kubeadm-upgrade-${argv[0]}` });
  assert.equal(code, 0, output);
  return output;
}

/** The images that kubeadm on a machine requires for a version. */
async function imagesOf({ node }: RunMachine, version: string): Promise<readonly string[]> {
  const { code, output } = await node.run(["kubeadm", "config", "images", "list", `--kubernetes-version=${version}`]);
  assert.equal(code, 0, output);
  return output.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("registry.k8s.io/"));
}

/** The version in the image of a control plane's API server. */
async function manifestVersion(machine: RunMachine): Promise<string | undefined> {
  const text = await machine.text("/etc/kubernetes/manifests/kube-apiserver.yaml");
  return /image: registry\.k8s\.io\/kube-apiserver:(\S+)/.exec(text)?.[1];
}

Deno.test({
  name: `control planes and workers join a cluster that was upgraded by hand, to a patch and to a minor${missing}`,
  ignore: !isThere,
  async fn(t) {
    await using tpms = new AsyncDisposableStack();
    const own = new Map<string, string>();
    const identities = new Map<string, string>();
    for (const name of ["cp-1", "cp-2", "cp-3", "worker-1", "worker-2"]) {
      const tpm = tpms.use(await startSwtpm());
      own.set(name, tpm.socketPath);
      identities.set(name, await identityOf(tpm));
    }
    const controlPlanes = [...identities].filter(([name]) => name.startsWith("cp-")).map(([, identity]) => identity);
    await using world = await RunWorld.create();
    const operator = await RunOperator.create(world, policyOf([...identities.values()], controlPlanes));
    const machine = (name: string) =>
      world.machine(name, operator.publicKey, {
        ...{ init: name === "cp-1", role: name.startsWith("cp-") ? "control-plane" : "worker", joinAt: ["cp-1"] },
        tpm: own.get(name) ?? "",
      });
    const joined = async (joiner: RunMachine) => {
      const joining = joiner.start();
      assert.equal(await joining.exitCode(), 0, await joining.output());
      assert.ok((await operator.nodes()).includes(`node/${joiner.node.name}`));
    };
    const step = async (title: string, work: () => Promise<void>) => {
      if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
    };
    const configuration = async () => {
      const path = "--output=jsonpath={.data.ClusterConfiguration}";
      return parse(await kubectl("get", "configmap", "kubeadm-config", "--namespace=kube-system", path));
    };
    const kubectl = async (...argv: readonly string[]) => {
      const all = ["kubectl", `--kubeconfig=${operator.clusterFolder}/kubeconfig`, ...argv] as const;
      const { code, output } = await operator.laptop.run(all);
      assert.equal(code, 0, output);
      return output;
    };
    /** The version of each object in the API, but for those that nodes and leaders renew all the time. */
    const objects = async () => {
      const { items } = v.parse(objectsSchema, JSON.parse(await kubectl("get", OBJECTS, "-A", "--output=json")));
      assert.ok(items.length > 50, `${items.length} objects`);
      return items.map(({ kind, metadata: { name, uid, resourceVersion } }) => [kind, name, uid, resourceVersion]);
    };
    const plan = async (...argv: readonly string[]) => {
      const kubeconfig = `${operator.clusterFolder}/kubeconfig`;
      const all = [
        ...BOOTSTRAPPER,
        "upgrade",
        "plan",
        "--kubeconfig",
        kubeconfig,
        "--output",
        "json",
        ...argv,
      ] as const;
      const { code, output } = await operator.laptop.run(all);
      assert.equal(code, 0, output);
      return v.parse(planSchema, JSON.parse(output.split("\n").find((line) => line.startsWith("{")) ?? ""));
    };
    const first = await machine("cp-1");

    await step(`a cluster is founded with ${kubernetesVersion}`, async () => {
      const running = first.start();
      await running.event({ event: "init-server-listening" });
      const init = operator.init(first);
      assert.equal(await init.exitCode(), 0, await init.output());
      assert.equal(await running.exitCode(), 0, await running.output());
      assert.equal(await manifestVersion(first), kubernetesVersion);
    });

    await step(`kubeadm upgrades it to ${PATCH}`, async () => {
      await upgrade(first, "apply", PATCH, "--yes", "--force", SKIPPED, "--etcd-upgrade=false");
      assert.equal((await configuration()).kubernetesVersion, PATCH);
    });

    const second = await machine("cp-2");
    await step("a control plane with the images of before says which images of now it lacks, unlocked", async () => {
      const joining = second.start();
      const { message } = await joining.event({ event: "join-not-prepared", code: "precondition/preflight" });
      assert.ok(String(message).includes(`kube-apiserver:${PATCH} is not on this machine`), String(message));
      assert.equal(await second.file("/var/lib/bootstrapper/node.lock"), undefined);
      assert.equal(await joining.kill("SIGTERM"), 0, await joining.output());
    });

    await step("with the images, it joins with the cluster's version, and so does a worker", async () => {
      await world.install(undefined, await imagesOf(first, PATCH));
      await second.shell(LOAD_IMAGES);
      await joined(second);
      assert.equal(await manifestVersion(second), PATCH);
      await joined(await machine("worker-1"));
    });

    await step("a plan says what is to be done, and changes neither an object nor a file", async () => {
      const before = { objects: await objects(), files: await filesOf([first, second, operator.laptop]) };
      const made = await plan("--to", nextKubernetesVersion);
      assert.deepEqual([made.state, made.from, made.blocks], ["ready", PATCH, []]);
      assert.deepEqual(made.steps.map(({ nodeName, action }) => `${action} ${nodeName}`), [
        ...["snapshot cp-1", "control-plane cp-1", "control-plane cp-2"],
        ...["cp-1", "cp-2", "worker-1"].map((name) => `kubelet ${name}`),
      ]);
      assert.deepEqual(checksOf(await plan("--to", "v1.38.0")), [["minor-skipped", null]]);
      // No machine of this world measures its start: what all of them show is zero.
      const otherImage = policyOf([...identities.values()], controlPlanes).replace("0".repeat(64), "1".repeat(64));
      await operator.laptop.write("/etc/bootstrapper/operator/next.yaml", otherImage);
      const ending = await plan("--to", nextKubernetesVersion, "--policy", "/etc/bootstrapper/operator/next.yaml");
      assert.deepEqual(checksOf(ending), ["cp-2", "worker-1"].map((name) => ["policy", name]));
      // The founder was judged by the operator, before there was a record.
      assert.ok(
        ending.remarks.includes("Nothing on record to compare the policy with: cp-1"),
        ending.remarks.join("\n"),
      );
      await Deno.remove(operator.laptop.path("/etc/bootstrapper/operator/next.yaml"));
      assert.deepEqual({ objects: await objects(), files: await filesOf([first, second, operator.laptop]) }, before);
    });

    await step("the snapshot of the plan is one that etcd reads, and only root does", async () => {
      const { steps: [snapshot] } = await plan("--to", nextKubernetesVersion);
      const [, inPod = ""] = (snapshot?.commands[0] ?? "").split(" -- ");
      await first.shell(`${inPod}; [ "$(stat -c %a /var/lib/etcd/before-${nextKubernetesVersion}.db)" = 600 ]`);
    });

    await step(`kubeadm upgrades both control planes to ${nextKubernetesVersion}`, async () => {
      const { dir } = await prepareNextKubeadm();
      await world.install(dir, []);
      await world.install(undefined, await imagesOf(first, nextKubernetesVersion));
      await upgrade(
        first,
        "apply",
        nextKubernetesVersion,
        "--yes",
        SKIPPED,
        "--etcd-upgrade=false",
      );
      await upgrade(second, "node", "--etcd-upgrade=false");
      assert.equal((await configuration()).kubernetesVersion, nextKubernetesVersion);
      assert.deepEqual(await Promise.all([first, second].map(manifestVersion)), [
        ...[nextKubernetesVersion, nextKubernetesVersion],
      ]);
      const bindings = await kubectl("get", "clusterrolebindings", "--output=name");
      assert.doesNotMatch(bindings, /autoapprove/);
    });

    await step("a control plane and a worker join with the next minor", async () => {
      const third = await machine("cp-3");
      await joined(third);
      assert.equal(await manifestVersion(third), nextKubernetesVersion);
      await joined(await machine("worker-2"));
      assert.deepEqual(await operator.nodes(), [...own.keys()].map((name) => `node/${name}`));
    });
  },
});
