import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { waitForNode } from "../../../kubernetes/readiness.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { World } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";
import { initDocumentsFor, KUBEADM_DEADLINE_MS, kubeadmOn, TestCa } from "./cluster.ts";
import { AnnouncementCheck } from "./kubeadm_announcements.ts";

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;
const run = { deadlineMs: KUBEADM_DEADLINE_MS };

/** Where an init is cut off: at the first line of each phase, and while certificates are being written. */
const CUTS: readonly RegExp[] = [
  /^\[certs\] Generating "apiserver" /,
  /^\[certs\] Generating "etcd\/server" /,
  /^\[kubeconfig\] Writing "admin.conf"/,
  /^\[etcd\]/,
  /^\[kubelet-start\]/,
  /^\[wait-control-plane\]/,
  /^\[control-plane-check\] kube-apiserver is healthy/,
  /^\[upload-config\]/,
  /^\[mark-control-plane\]/,
];

async function assertFinished(node: WorldNode, ca: TestCa): Promise<void> {
  using api = new KubernetesApi(await readKubeconfig(node.path("/etc/kubernetes/admin.conf")));
  await waitForNode(api, node.name, "ready", { clock: systemClock, deadlineMs: 60_000 });
  const secrets = await api.get("/api/v1/secrets", v.object({ items: v.array(v.object({ type: v.string() })) }));
  assert.ok(!secrets.items.some(({ type }) => type === "bootstrap.kubernetes.io/token"));
  await assert.rejects(node.read("/etc/kubernetes/super-admin.conf"), Deno.errors.NotFound);
  assert.equal(await node.read("/etc/kubernetes/pki/ca.crt"), await ca.certificate());
}

Deno.test("Kubeadm.init() finishes when it is run again after kill -9 or a power cut", async (t) => {
  const { dir } = await prepareBinaries();
  const ca = await TestCa.create();
  for (const [index, cut] of CUTS.entries()) {
    const power = index % 2 === 1;
    await t.step(`${power ? "power cut" : "kill -9"} at ${cut.source}`, async () => {
      await using world = await World.create({ binaries: dir });
      const node = await world.node("cp-1");
      await ca.layInto(node);
      node.startKubeletStandIn();
      const kubeadm = await kubeadmOn(node);
      const kill = new AbortController();
      const first = kubeadm.init(initDocumentsFor(node), {
        ...run,
        signal: kill.signal,
        onLine: (line) => cut.test(line) && kill.abort(),
      });
      await assert.rejects(first, codeIs("aborted/command"));
      if (power) {
        await node.powerOff();
        await node.powerOn();
        node.startKubeletStandIn();
      }
      await kubeadm.init(initDocumentsFor(node), run);
      await assertFinished(node, ca);
    });
  }
  await Deno.remove(ca.folder, { recursive: true });
});

Deno.test("Kubeadm.init() rewrites files that a power cut left empty or half-written", async () => {
  const { dir } = await prepareBinaries();
  const ca = await TestCa.create();
  await using world = await World.create({ binaries: dir });
  const node = await world.node("cp-1");
  await ca.layInto(node);
  node.startKubeletStandIn();
  const kubeadm = await kubeadmOn(node);
  const announcements = new AnnouncementCheck();
  await kubeadm.init(initDocumentsFor(node), { ...run, onProgress: announcements.listen });
  announcements.assert("init");
  await node.powerOff();
  const etcdCa = await node.read("/etc/kubernetes/pki/etcd/ca.key");
  await node.write("/etc/kubernetes/pki/etcd/ca.key", etcdCa.slice(0, 40));
  for (const path of ["pki/sa.pub", "pki/apiserver.crt", "admin.conf", "manifests/etcd.yaml"]) {
    await node.write(`/etc/kubernetes/${path}`, "");
  }
  await Deno.remove(node.path("/etc/kubernetes/pki/front-proxy-ca.key"));
  await node.powerOn();
  node.startKubeletStandIn();
  await kubeadm.init(initDocumentsFor(node), run);
  await assertFinished(node, ca);
  await Deno.remove(ca.folder, { recursive: true });
});

Deno.test("Kubeadm names the phase, the checks and the images", async (t) => {
  const { dir } = await prepareBinaries();
  const ca = await TestCa.create();
  await using world = await World.create({ binaries: dir });
  const node = await world.node("cp-1");
  const kubeadm = await kubeadmOn(node);
  const documents = initDocumentsFor(node);

  await t.step("preflight() gives each failed check with its reason, and changes nothing", async () => {
    const failed = await kubeadm.preflight("init", documents, run);
    assert.match(
      failed.find(({ check }) => check === "CRI")?.reason ?? "",
      /could not connect to the container runtime/,
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(node.path("/etc/kubernetes"))), []);
  });

  await t.step("requiredImages() names the control plane's images", async () => {
    const images = await kubeadm.requiredImages(documents, run);
    assert.ok(images.includes("registry.k8s.io/kube-apiserver:v1.36.3"), images.join());
    assert.ok(!images.some((image) => image.includes("coredns") || image.includes("kube-proxy")), images.join());
  });

  await t.step("init() refuses to make a CA of its own", async () => {
    await assert.rejects(kubeadm.init(documents, run), codeIs("precondition/cluster-ca"));
  });

  await t.step("init() names the phase that failed", async () => {
    await ca.layInto(node);
    await node.write("/etc/kubernetes/manifests", "a file where a folder should be");
    await assert.rejects(kubeadm.init(documents, run), (error: unknown) => {
      assert.ok(codeIs("system/kubeadm")(error) && error instanceof BootstrapError, String(error));
      assert.equal(error.details.phase, "etcd/local");
      return true;
    });
  });
  await Deno.remove(ca.folder, { recursive: true });
});
