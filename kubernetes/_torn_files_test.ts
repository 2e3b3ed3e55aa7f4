import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { isWholePem, removeTornFiles } from "./_torn_files.ts";
import { kubeconfig } from "./kubeconfig.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KUBECONFIG = kubeconfig({
  ...{ clusterName: "c", userName: "u", server: "https://10.0.0.1:6443", caPem: PEM },
  ...{ certificatePem: PEM, keyPem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" },
});

const PKI = [
  ...["ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-ca", "front-proxy-client"],
  ...["etcd/ca", "etcd/server", "etcd/peer", "etcd/healthcheck-client"],
].flatMap((name) => [`pki/${name}.crt`, `pki/${name}.key`]).concat("pki/sa.key", "pki/sa.pub");
const CONFIGS = ["admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf"];

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of [...PKI, ...CONFIGS]) {
      await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
      await Deno.writeTextFile(join(folder, path), path.startsWith("pki/") ? PEM : KUBECONFIG);
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function missing(folder: string): Promise<string[]> {
  const gone: string[] = [];
  for (const path of [...PKI, ...CONFIGS]) await Deno.stat(join(folder, path)).catch(() => gone.push(path));
  return gone.sort();
}

Deno.test("removeTornFiles() removes nothing when everything is whole", () =>
  withFolder(async (folder) => {
    await removeTornFiles(folder);
    assert.deepEqual(await missing(folder), []);
  }));

Deno.test("removeTornFiles() removes both of a pair when one is empty, cut, zeroed or missing", async () => {
  const torn = [() => "", () => PEM.slice(0, -5), () => "\0".repeat(40), undefined];
  for (const content of torn) {
    await withFolder(async (folder) => {
      const path = join(folder, "pki/apiserver.crt");
      await (content === undefined ? Deno.remove(path) : Deno.writeTextFile(path, content()));
      await removeTornFiles(folder);
      assert.deepEqual(await missing(folder), ["pki/apiserver.crt", "pki/apiserver.key"]);
    });
  }
});

Deno.test("removeTornFiles() removes what a torn CA signed", () =>
  withFolder(async (folder) => {
    await Deno.truncate(join(folder, "pki/front-proxy-ca.key"));
    await Deno.truncate(join(folder, "admin.conf"));
    await removeTornFiles(folder);
    assert.deepEqual(await missing(folder), [
      ...["admin.conf", "pki/front-proxy-ca.crt", "pki/front-proxy-ca.key"],
      ...["pki/front-proxy-client.crt", "pki/front-proxy-client.key"],
    ]);
  }));

Deno.test("removeTornFiles() never touches the cluster's own CA", () =>
  withFolder(async (folder) => {
    await Deno.truncate(join(folder, "pki/ca.key"));
    await removeTornFiles(folder);
    assert.deepEqual(await missing(folder), []);
  }));

Deno.test("isWholePem() is false when a PEM file ends before its end", async () => {
  const path = await Deno.makeTempFile();
  for (let length = 0; length < PEM.length; length++) {
    await Deno.writeTextFile(path, PEM.slice(0, length));
    assert.equal(await isWholePem(path), false, String(length));
  }
  await Deno.writeTextFile(path, PEM);
  assert.equal(await isWholePem(path), true);
  await Deno.remove(path);
});
