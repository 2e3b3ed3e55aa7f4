import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { useOwnCertificates, usesOwnCertificates, withOwnCertificates } from "./adopted_kubelet.ts";

const CONFIGURATION = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
rotateCertificates: true
maxPods: 50
`;
const SERVING = "/var/lib/kubelet/pki/bootstrapper-serving.pem";

Deno.test("withOwnCertificates() changes what says where certificates come from, and nothing else", () => {
  const changed = withOwnCertificates(CONFIGURATION, "it");
  assert.deepEqual(parse(changed), {
    ...{ apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration", cgroupDriver: "systemd" },
    ...{ rotateCertificates: false, serverTLSBootstrap: false, maxPods: 50 },
    ...{ tlsCertFile: SERVING, tlsPrivateKeyFile: SERVING },
  });
  assert.equal(withOwnCertificates(changed, "it"), changed);
});

Deno.test("withOwnCertificates() refuses what is no KubeletConfiguration, and names it", () => {
  for (const text of ["", "kind: Pod\n", ": [", "- a\n", "a: &x 1\nb: *x\n"]) {
    assert.throws(() => withOwnCertificates(text, "config.yaml"), (error: unknown) => {
      assert.ok(error instanceof BootstrapError, String(error));
      assert.deepEqual([error.code, error.details["path"]], ["malformed/kubelet-configuration", "config.yaml"]);
      return true;
    });
  }
});

Deno.test("useOwnCertificates() changes the file, and then starts the kubelet again", async () => {
  const kubelet = await Deno.makeTempDir();
  await Deno.writeTextFile(join(kubelet, "config.yaml"), CONFIGURATION);
  const calls: string[] = [];
  const commands: CommandRunner = {
    async run(argv) {
      calls.push(argv.join(" "));
      assert.match(await Deno.readTextFile(join(kubelet, "config.yaml")), /bootstrapper-serving\.pem/);
      return { code: 0, stdout: "", stderr: "" };
    },
  };
  await useOwnCertificates({ kubelet }, commands);
  assert.deepEqual(calls, ["systemctl restart kubelet.service"]);
  await Deno.remove(kubelet, { recursive: true });
});

Deno.test("usesOwnCertificates() is false for a node as kubeadm made it", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(join(folder, "config.yaml"), CONFIGURATION);
  await Deno.writeTextFile(join(folder, "kubelet.conf"), "client-certificate: kubelet-client-current.pem\n");
  assert.equal(await usesOwnCertificates({ kubelet: folder, kubernetes: folder }, { now: () => new Date() }), false);
  await Deno.remove(folder, { recursive: true });
});
