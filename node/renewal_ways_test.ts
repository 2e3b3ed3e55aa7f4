import assert from "node:assert/strict";
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { createCertificateAuthority, issueServiceCertificate } from "../certificate/ca.ts";
import { checkServingCertificate } from "../certificate/chain.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { writeAuthorizationConfiguration } from "../kubernetes/authorization_configuration.ts";
import { readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLog } from "../platform/log.ts";
import { createFounding } from "../protocol/founding.ts";
import { writeServiceState } from "../service/service_state.ts";
import { nodePaths } from "./paths.ts";
import type { InstalledCertificates, RenewalTask, RenewedCertificates } from "./renewal.ts";
import { ownCaWay } from "./renewal_ways.ts";

const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const HOUR_MS = 3_600_000;

/** A control plane whose API server is down: there is no kubeconfig of an administrator. */
class ControlPlane implements AsyncDisposable {
  readonly paths;
  private constructor(readonly root: string, readonly ca: CertificateAuthority) {
    this.paths = nodePaths(root);
  }

  static async create(): Promise<ControlPlane> {
    const now = new Date();
    const ca = await createCertificateAuthority(now);
    const node = new ControlPlane(await Deno.makeTempDir(), ca);
    const { paths } = node;
    const pki = join(paths.kubernetes, "pki");
    await Deno.mkdir(pki, { recursive: true });
    await Deno.writeTextFile(join(pki, "ca.crt"), writePem("CERTIFICATE", ca.certificate.der));
    await Deno.writeTextFile(join(pki, "ca.key"), await privateKeyPem(ca.keys));
    const [operator, keys] = [await generateKeyPair("ed25519"), await generateKeyPair("p-256")];
    const clusterId = await clusterIdOf(ca.certificate);
    await Deno.mkdir(paths.state, { recursive: true });
    await writeServiceState(paths.joinService, {
      keys,
      certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, now)).der,
      caCertificate: ca.certificate.der,
      foundings: [await createFounding(operator, clusterId, "test")],
      trust: { clusterName: "test", clusterId, operatorKeys: [operator.spki] },
      policyDocument: "version: 1\n",
      clusterDocument: "kubernetesVersion: v1.36.3\nnodeCertificateLifetime: 2h\n",
      listen: "0.0.0.0:9444",
      apiServer: "https://192.0.2.1:6443",
      apiEndpoints: ["192.0.2.1:6443"],
      joinEndpoints: ["192.0.2.1:9444"],
    });
    return node;
  }

  /** Installs certificates of epoch 3. */
  async install(nodeName = "cp-1"): Promise<InstalledCertificates> {
    const node = { nodeName, admissionUid: UID, epoch: 3, addresses: ["192.0.2.1"], lifetimeMs: HOUR_MS };
    return await renewOwnCertificates({ ca: this.ca, paths: this.paths, now: new Date() }, node);
  }

  async issue(
    installed: InstalledCertificates,
    urgency: RenewalTask["urgency"] = "late",
  ): Promise<RenewedCertificates["certificates"]> {
    const way = ownCaWay(
      { paths: this.paths, clock: systemClock, log: silentLog },
      () => Promise.resolve({ name: "cp-1", address: "192.0.2.1", role: "control-plane" }),
    );
    const { signal } = new AbortController();
    return (await way({ role: "control-plane", installed, urgency, joinEndpoints: [], signal, onFailure() {} }))
      .certificates;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

const groupsOf = ({ client }: RenewedCertificates["certificates"]) =>
  client.subject.attributes.map(({ value }) => value);

Deno.test("ownCaWay() makes a kubelet's lost certificates from what the machine knows, its API server being down", async () => {
  await using node = await ControlPlane.create();
  const folder = join(node.paths.kubernetes, "bootstrapper");
  await writeAuthorizationConfiguration(folder, { epochs: [4, 5, 6], cut: [] });
  const { client, serving } = await node.issue({});
  assert.deepEqual(groupsOf({ client, serving }), ["system:nodes", "bootstrapper:epoch:5", "system:node:cp-1"]);
  await checkServingCertificate(serving.der, node.ca.certificate, {
    ...{ nodeName: "cp-1", servingKey: serving.spki, addresses: ["192.0.2.1"], now: new Date() },
  });
  assert.equal((await readNodeCertificate(node.paths, "client"))?.serialNumber.toHex(), client.serialNumber.toHex());
});

Deno.test("ownCaWay() keeps the admission of the certificate before, takes the cluster's lifetime, and this machine's last epoch", async () => {
  await using node = await ControlPlane.create();
  const installed = await node.install();
  const renewed = await node.issue(installed);
  const admission = ["system:nodes", `bootstrapper:admission:${UID}`];
  assert.deepEqual(groupsOf(renewed), [...admission, "bootstrapper:epoch:3", "system:node:cp-1"]);
  assert.ok(renewed.client.notAfter.getTime() > Date.now() + 1.9 * HOUR_MS);
  await writeAuthorizationConfiguration(join(node.paths.kubernetes, "bootstrapper"), { epochs: [6, 7], cut: [] });
  assert.deepEqual(groupsOf(await node.issue(installed)).at(2), "bootstrapper:epoch:6");
});

Deno.test("ownCaWay() takes the serving certificate's loss, and the name of the client certificate", async () => {
  await using node = await ControlPlane.create();
  const { client } = await node.install("cp-old");
  assert.ok(client !== undefined);
  assert.equal(groupsOf(await node.issue({ client })).at(-1), "system:node:cp-old");
});

Deno.test("ownCaWay() waits for the API server while there is time, as certificates belong on record", async () => {
  await using node = await ControlPlane.create();
  const installed = await node.install();
  await assert.rejects(node.issue(installed, "due"), { code: "system/file" });
});
