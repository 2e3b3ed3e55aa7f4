import assert from "node:assert/strict";
import { systemClock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { silentLog } from "../platform/log.ts";
import { controlPlaneRenewal } from "./control_plane_renewal_effects.ts";
import { nodePaths } from "./paths.ts";

const never = new AbortController().signal;

Deno.test("without an API server and a copy of its configuration, kubeadm is given its own version, whatever founded the cluster", async () => {
  const root = await Deno.makeTempDir();
  try {
    const asked: string[] = [];
    const commands = (stdout: string): CommandRunner => ({
      run: (argv) => {
        asked.push(argv.join(" "));
        return Promise.resolve({ code: 0, stdout, stderr: "" });
      },
    });
    const parts = {
      ...{ paths: nodePaths(root), clock: systemClock, log: silentLog, self: { name: "cp-1", address: "192.0.2.1" } },
      kubeadm: { renewCertificates: () => Promise.resolve() },
    };
    const { clusterConfiguration } = controlPlaneRenewal({ ...parts, commands: commands("v1.38.1\n") });
    assert.match(await clusterConfiguration(never), /^kubernetesVersion: v1\.38\.1$/m);
    assert.deepEqual(asked, ["kubeadm version --output=short"]);
    const broken = controlPlaneRenewal({ ...parts, commands: commands("latest: no\n") });
    await assert.rejects(broken.clusterConfiguration(never), { code: "malformed/kubernetes-version" });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
