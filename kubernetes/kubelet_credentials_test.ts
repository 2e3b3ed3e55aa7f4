import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { issueNodeCertificates } from "../certificate/testing/node_certificates.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { isPrivateKeyOf } from "../certificate/private_key_match.ts";
import { writePem } from "../certificate/pem.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readKubeconfig } from "./kubeconfig.ts";
import {
  hasKubeletCredentials,
  installNodeCertificates,
  kubeletKubeconfigPath,
  nodeCertificatePath,
  parseNodeCertificate,
  readNodeCertificate,
  writeKubeletKubeconfig,
} from "./kubelet_credentials.ts";

const ca = await createCertificateAuthority(new Date());
const caPem = writePem("CERTIFICATE", ca.certificate.der);

/** New certificates of a node, with their keys. */
async function issue() {
  const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
  const node = { nodeName: "worker-1", addresses: ["192.0.2.7"], epoch: 1, lifetimeMs: 3_600_000 };
  const request = { ...node, clientKey: keys.client.spki, servingKey: keys.serving.spki };
  return { certificates: await issueNodeCertificates(ca, request, new Date()), keys };
}

async function withPaths(
  test: (paths: { readonly kubernetes: string; readonly kubelet: string }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await test({ kubernetes: join(root, "etc/kubernetes"), kubelet: join(root, "var/lib/kubelet") });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("installNodeCertificates() writes certificate and key of each usage into one private file", () =>
  withPaths(async (paths) => {
    const { certificates, keys } = await issue();
    await installNodeCertificates(paths, certificates, keys);
    for (const usage of ["client", "serving"] as const) {
      const path = nodeCertificatePath(paths.kubelet, usage);
      assert.equal((await Deno.stat(path)).mode, 0o100600);
      const [certificate = "", key = ""] = (await Deno.readTextFile(path)).split(/(?=-----BEGIN PRIVATE)/);
      assert.equal(certificate, writePem("CERTIFICATE", certificates[usage].der));
      assert.ok(isPrivateKeyOf(key, certificates[usage].spki, "key"));
      assert.deepEqual((await readNodeCertificate(paths, usage))?.der, certificates[usage].der);
    }
  }));

Deno.test("installNodeCertificates() replaces each file by rename, so that no reader sees a mixture", () =>
  withPaths(async (paths) => {
    const [first, second] = [await issue(), await issue()];
    await installNodeCertificates(paths, first.certificates, first.keys);
    using open = await Deno.open(nodeCertificatePath(paths.kubelet, "client"));
    await installNodeCertificates(paths, second.certificates, second.keys);
    const before = new TextDecoder().decode(await new Response(open.readable).bytes());
    assert.ok(before.startsWith(writePem("CERTIFICATE", first.certificates.client.der)));
    assert.ok(before.endsWith(await privateKeyPem(first.keys.client)));
    const names = [...Deno.readDirSync(join(paths.kubelet, "pki"))].map(({ name }) => name).sort();
    assert.deepEqual(names, ["bootstrapper-client.pem", "bootstrapper-serving.pem"]);
  }));

Deno.test("installNodeCertificates() removes the keys that a killed process left behind", () =>
  withPaths(async (paths) => {
    const { certificates, keys } = await issue();
    await installNodeCertificates(paths, certificates, keys);
    const folder = join(paths.kubelet, "pki");
    const [client, other] = [".bootstrapper-client.pem.0123456789abcdef.tmp", "kubelet-client-current.pem"];
    for (const name of [client, other]) await Deno.writeTextFile(join(folder, name), "key");
    await installNodeCertificates(paths, certificates, keys);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["bootstrapper-client.pem", "bootstrapper-serving.pem", other]);
  }));

Deno.test("writeKubeletKubeconfig() names the client certificate's file, so that a renewal changes no kubeconfig", () =>
  withPaths(async (paths) => {
    const { certificates, keys } = await issue();
    await writeKubeletKubeconfig(paths, { server: "https://192.0.2.1:6443", caPem });
    assert.equal(await hasKubeletCredentials(paths), false);
    await installNodeCertificates(paths, certificates, keys);
    assert.equal(await hasKubeletCredentials(paths), true);
    const credentials = await readKubeconfig(kubeletKubeconfigPath(paths));
    assert.equal(credentials.server, "https://192.0.2.1:6443");
    assert.equal(credentials.caPem, caPem);
    const renewed = await issue();
    await installNodeCertificates(paths, renewed.certificates, renewed.keys);
    const { certificatePem, keyPem } = await readKubeconfig(kubeletKubeconfigPath(paths));
    assert.equal(certificatePem, writePem("CERTIFICATE", renewed.certificates.client.der));
    assert.equal(keyPem, await privateKeyPem(renewed.keys.client));
    assert.equal((await Deno.stat(kubeletKubeconfigPath(paths))).mode, 0o100600);
  }));

Deno.test("readNodeCertificate() returns nothing where no certificate is installed", () =>
  withPaths(async (paths) => assert.equal(await readNodeCertificate(paths, "client"), undefined)));

Deno.test("parseNodeCertificate() reads a certificate or names the file, and never shows the key", async () => {
  const { certificates, keys } = await issue();
  const keyPem = await privateKeyPem(keys.client);
  const bytes = utf8(writePem("CERTIFICATE", certificates.client.der) + keyPem);
  const secret = keyPem.split("\n")[1] ?? "";
  const check = (content: Uint8Array) => {
    try {
      parseNodeCertificate(content, "/pem");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/node-certificate", String(error));
      assert.ok(!`${error.message} ${JSON.stringify(error.details)} ${error.cause}`.includes(secret));
      assert.ok(error.message.includes("/pem"));
    }
  };
  for (let length = 0; length < bytes.length; length += 5) check(bytes.slice(0, length));
  fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
    const damaged = bytes.slice();
    damaged[index] = (damaged[index] ?? 0) ^ flip;
    check(damaged);
  }));
  assert.throws(() => parseNodeCertificate(utf8(keyPem), "/pem"), { code: "malformed/node-certificate" });
});
