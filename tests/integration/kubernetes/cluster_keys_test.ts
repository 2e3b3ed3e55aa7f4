import { readPolicy } from "../../../attestation/policy/policy.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkCaCertificate } from "../../../certificate/chain.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { readPem } from "../../../certificate/pem.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { newKit, newSealingKeys } from "../../../protocol/testing/kit.ts";
import { checkControlPlaneKit } from "../../../protocol/control_plane_kit.ts";
import { openKit, sealKit } from "../../../protocol/sealed_kit.ts";
import { installClusterKeys, readClusterKeys } from "../../../kubernetes/cluster_keys.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import { runOrThrow, systemCommands } from "../../../platform/command.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";

const KUBEADM_DEADLINE_MS = 120_000;
const MADE_ONCE = ["ca", "front-proxy-ca", "etcd-ca", "sa"];

/** The lines that kubeadm prints for each of its certificate phases in a folder. */
async function makeCertificates(kubeadm: string, folder: string, phases: readonly string[], algorithm: string) {
  const configuration = join(folder, "kubeadm.yaml");
  const document = {
    apiVersion: "kubeadm.k8s.io/v1beta4",
    kind: "ClusterConfiguration",
    kubernetesVersion: "v1.36.3",
    certificatesDir: join(folder, "pki"),
    encryptionAlgorithm: algorithm,
  };
  await Deno.writeTextFile(configuration, JSON.stringify(document));
  let said = "";
  for (const phase of phases) {
    said += await runOrThrow(systemCommands, [kubeadm, "init", "phase", "certs", phase, "--config", configuration], {
      deadlineMs: KUBEADM_DEADLINE_MS,
    });
  }
  return said;
}

for (const algorithm of ["ECDSA-P256", "RSA-2048"]) {
  Deno.test(`kubeadm makes a control plane's certificates with keys of ${algorithm} that were sealed and opened`, async () => {
    const { dir } = await prepareBinaries();
    const kubeadm = join(dir, "kubeadm");
    const [first, second] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
    try {
      await makeCertificates(kubeadm, first, MADE_ONCE, algorithm);
      const caPem = await Deno.readTextFile(join(first, "pki/ca.crt"));
      const der = readPem(caPem, "CERTIFICATE", "ca.crt");
      const ca = await checkCaCertificate(der, await clusterIdOf(readCertificate(der, "ca.crt")));
      const { policyDocument } = (await newKit()).kit;
      const kit = { keys: await readClusterKeys(join(first, "pki")), policyDocument };
      const [node, a2] = [await newSealingKeys(), randomBytes(32)];
      const opened = await openKit(node, a2, await sealKit(node.publicKey, a2, kit));
      await checkControlPlaneKit(opened, ca, new Date(), readPolicy);
      await installClusterKeys(join(second, "pki"), opened.keys, caPem);

      const said = await makeCertificates(kubeadm, second, ["all"], algorithm);
      for (const name of ["ca", "front-proxy-ca", "etcd/ca"]) {
        assert.match(said, new RegExp(`Using existing ${name} certificate authority`));
      }
      assert.match(said, /Using the existing "sa" key/);
      assert.match(said, /Generating "etcd\/peer" certificate and key/);
      assert.deepEqual(await readClusterKeys(join(second, "pki")), kit.keys);
    } finally {
      for (const folder of [first, second]) await Deno.remove(folder, { recursive: true });
    }
  });
}
