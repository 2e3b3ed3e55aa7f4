import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { writePem } from "../certificate/pem.ts";
import type { CommandRunner } from "../platform/command.ts";
import { systemClock } from "../platform/clock.ts";
import { checkPresentNode, isAdopted, recordAdoption, stayingParts } from "./adopted_worker.ts";
import { nodePaths } from "./paths.ts";

async function inRoot(use: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  for (const folder of ["etc/kubernetes/pki", "var/lib/kubelet", "var/lib/bootstrapper"]) {
    await Deno.mkdir(join(root, folder), { recursive: true });
  }
  await use(root).finally(() => Deno.remove(root, { recursive: true }));
}

const { certificate } = await createCertificateAuthority(new Date());
const clusterId = await clusterIdOf(certificate);

Deno.test("checkPresentNode() takes a node of exactly the configured cluster", async () => {
  await inRoot(async (root) => {
    const paths = nodePaths(root);
    const pem = writePem("CERTIFICATE", certificate.der);
    await Deno.writeTextFile(join(paths.kubernetes, "pki", "ca.crt"), pem);
    await assert.rejects(checkPresentNode(paths, clusterId), { code: "precondition/adoption" });
    await Deno.writeTextFile(join(paths.kubernetes, "kubelet.conf"), "");
    await assert.rejects(checkPresentNode(paths, clusterId), { code: "precondition/adoption" });
    await Deno.writeTextFile(join(paths.kubelet, "config.yaml"), "");
    await checkPresentNode(paths, clusterId);
    const other = clusterId.map((byte) => byte ^ 1);
    await assert.rejects(checkPresentNode(paths, other), { code: "precondition/adoption" });
  });
});

Deno.test("a machine is adopted only after root has asked for it", async () => {
  await inRoot(async (root) => {
    const { state } = nodePaths(root);
    assert.equal(await isAdopted(state), false);
    await recordAdoption(state);
    assert.equal(await isAdopted(state), true);
  });
});

Deno.test("stayingParts() leaves out the checks that no node in its place passes, and runs no kubeadm", async () => {
  await inRoot(async (root) => {
    const paths = nodePaths(root);
    const calls: string[] = [];
    const commands: CommandRunner = {
      run: (argv) => Promise.resolve(void calls.push(argv.join(" "))).then(() => ({ code: 0, stdout: "", stderr: "" })),
    };
    const never = () => Promise.reject(new Error("not of a node that stays"));
    const failed = ["leftovers", "ports", "swap"].map((check) => ({ check, reason: "seen" }));
    const { localChecks, kubeadm, kubelet } = stayingParts({ paths, commands, clock: systemClock }, {
      localChecks: () => Promise.resolve(failed),
      kubeadm: { preflight: never, join: never },
      kubelet: {
        ...{ hasJoined: never, installCertificates: never, enable: never, start: never },
        ...{ waitUntilHealthy: never, waitUntilRegistered: never },
      },
    });
    assert.deepEqual((await localChecks?.())?.map(({ check }) => check), ["swap"]);
    assert.deepEqual(await kubeadm.preflight("join", "", { deadlineMs: 1 }), []);
    assert.equal(await kubelet.hasJoined(), false);
    await Deno.writeTextFile(join(paths.kubelet, "config.yaml"), "kind: KubeletConfiguration\n");
    await kubeadm.join("", { deadlineMs: 1 });
    assert.deepEqual(calls, ["systemctl restart kubelet.service"]);
  });
});
