import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { certificateEnds } from "../../../kubernetes/control_plane_certificates.ts";
import { liveImagesDocument } from "../../../kubernetes/kubeadm_config.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { pollUntil } from "../../../kubernetes/_poll.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { type ControlPlaneRenewalDependencies, renewControlPlane } from "../../../node/control_plane_renewal.ts";
import { controlPlaneRenewal } from "../../../node/control_plane_renewal_effects.ts";
import { nodePaths } from "../../../node/paths.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { retry } from "../../../platform/retry.ts";
import { capture } from "../../tools/run.ts";
import { kubeadmOn, TestCluster } from "./cluster.ts";

const never = new AbortController().signal;
const CALL = { deadlineMs: 10_000 };
const WAIT = { clock: systemClock, deadlineMs: 120_000, firstMs: 100, longestMs: 500, code: "timeout/node" } as const;

/** Names, serial number and issuer of a certificate, as openssl prints them. */
async function facts(file: string): Promise<{ readonly serial: string; readonly names: string }> {
  const show = (...what: readonly string[]) => capture(["openssl", "x509", "-noout", "-in", file, ...what]);
  return {
    serial: await show("-serial"),
    names: await show("-subject", "-issuer", "-ext", "extendedKeyUsage,subjectAltName"),
  };
}

Deno.test("kubeadm renews a control plane's certificates with what is in them, and what it leaves half done is put back", async (t) => {
  await using cluster = await TestCluster.create();
  const { controlPlane } = cluster;
  const state = await Deno.makeTempDir();
  const paths = { ...nodePaths(state), kubernetes: controlPlane.path("/etc/kubernetes") };
  await Deno.mkdir(paths.state, { recursive: true });
  const kubeadm = await kubeadmOn(controlPlane);
  const self = { name: controlPlane.name, address: controlPlane.ip };
  const pods: string[] = [];
  const real = controlPlaneRenewal({
    ...{ paths, clock: systemClock, log: silentLog, commands: controlPlane.commands, kubeadm, self },
  });
  const deps: ControlPlaneRenewalDependencies = {
    ...real,
    // No systemd runs in this world. What stands in for the kubelet runs the manifests, and shows their Pods.
    isKubeletActive: () => Promise.resolve(true),
    restartService: () => Promise.resolve(),
    awaitPod: async (pod, time, signal) => {
      await real.awaitPod(pod, time, signal);
      pods.push(pod);
    },
  };
  /** Renews as the timer does: again, while the API server starts anew. */
  const renewed = (deps: ControlPlaneRenewalDependencies) =>
    retry(() => renewControlPlane(deps, never, { isNow: true }), {
      ...{ clock: systemClock, random: Math.random, maximumTries: 20 },
      backOff: { firstMs: 500, factor: 1.5, longestMs: 5_000, jitter: 0.2 },
      isRetriable: ({ code }) => /^(?:unavailable|timeout|unauthorized)\/kubernetes-api$/.test(code),
    });
  const file = (path: string) => join(paths.kubernetes, path);
  const certificates = (await certificateEnds(paths.kubernetes)).map(({ path }) => path);
  const pairs = certificates.filter((path) => path.endsWith(".crt"));
  const before = new Map(await Promise.all(pairs.map(async (path) => [path, await facts(file(path))] as const)));

  await t.step("a young control plane is left alone", async () => {
    assert.ok(pairs.includes("pki/etcd/peer.crt") && certificates.includes("scheduler.conf"));
    assert.equal((await renewControlPlane(deps, never)).state, "early");
    assert.match(await Deno.readTextFile(join(paths.state, "kubeadm-config.yaml")), /kind: ClusterConfiguration/);
  });

  await t.step("kubeadm that is killed at any moment leaves no half certificate", async () => {
    for (const deadlineMs of [5, 40, 80, 120, 160, 200, 300]) {
      const killed = {
        ...deps,
        kubeadmRenew: (configuration: string, signal: AbortSignal) =>
          kubeadm.renewCertificates(liveImagesDocument(configuration, self), { deadlineMs, signal }),
      };
      await renewed(killed).catch((error: unknown) => {
        assert.ok(error instanceof BootstrapError && error.code === "timeout/command", String(error));
      });
      for (const path of pairs) {
        const [certificate, key] = await Promise.all([
          capture(["openssl", "x509", "-noout", "-pubkey", "-in", file(path)]),
          capture(["openssl", "pkey", "-pubout", "-in", file(path.replace(/crt$/, "key"))]),
        ]);
        assert.equal(certificate, key, `${path} after ${deadlineMs} ms`);
      }
    }
  });

  await t.step("asked to, it renews all of them, in the Lease's turn, and names every Pod", async () => {
    pods.length = 0;
    assert.equal((await renewed(deps)).state, "renewed");
    // A try that the API server's start ended goes on where it was.
    assert.deepEqual([...new Set(pods)], ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    for (const [path, { serial, names }] of before) {
      const after = await facts(file(path));
      assert.notEqual(after.serial, serial, path);
      assert.equal(after.names, names, path);
    }
    // One that has just started has not read its roles yet, and refuses.
    const answer = () => admin.find("/api/v1/namespaces/kube-system", v.unknown()).catch(() => undefined);
    using admin = new KubernetesApi(await readKubeconfig(file("admin.conf")), CALL);
    await pollUntil(answer, { ...WAIT, failure: "The API server did not answer" });
    const manifest = await Deno.readTextFile(file("manifests/kube-scheduler.yaml"));
    assert.match(manifest, /bootstrapper\.dev\/restarted-at/);
  });

  await Deno.remove(state, { recursive: true });
});
