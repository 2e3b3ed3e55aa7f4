import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import {
  areKubeletFilesWhole,
  isControlPlanePrepared,
  isWholeManifest,
  isWholePem,
  missingSharedKeys,
  removeTornFiles,
} from "./_torn_files.ts";
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

Deno.test("removeTornFiles() removes both files of a pair when one is empty, cut off, zeroed or missing", async () => {
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

Deno.test("removeTornFiles() removes the files that a torn CA signed", () =>
  withFolder(async (folder) => {
    await Deno.truncate(join(folder, "pki/front-proxy-ca.key"));
    await Deno.truncate(join(folder, "admin.conf"));
    await removeTornFiles(folder);
    assert.deepEqual(await missing(folder), [
      ...["admin.conf", "pki/front-proxy-ca.crt", "pki/front-proxy-ca.key"],
      ...["pki/front-proxy-client.crt", "pki/front-proxy-client.key"],
    ]);
  }));

Deno.test("removeTornFiles() never touches the cluster's own CA and the kubelet's kubeconfig", () =>
  withFolder(async (folder) => {
    await Deno.truncate(join(folder, "pki/ca.key"));
    await Deno.truncate(join(folder, "kubelet.conf"));
    await removeTornFiles(folder);
    assert.deepEqual(await missing(folder), []);
  }));

Deno.test("isWholePem() is false when a PEM file is cut off", async () => {
  const path = await Deno.makeTempFile();
  for (let length = 0; length < PEM.length; length++) {
    await Deno.writeTextFile(path, PEM.slice(0, length));
    assert.equal(await isWholePem(path), false, String(length));
  }
  await Deno.writeTextFile(path, PEM);
  assert.equal(await isWholePem(path), true);
  await Deno.remove(path);
});

Deno.test("areKubeletFilesWhole() is false when a file of the kubelet is missing, cut off or zeroed", async () => {
  const folder = await Deno.makeTempDir();
  const files = {
    "config.yaml": "kind: KubeletConfiguration\n",
    "kubeadm-flags.env": 'KUBELET_KUBEADM_ARGS="--a=b"\n',
  };
  const write = async (changes: Partial<typeof files>) => {
    for (const [name, text] of Object.entries({ ...files, ...changes })) {
      await Deno.writeTextFile(join(folder, name), text);
    }
  };
  assert.equal(await areKubeletFilesWhole(folder), false);
  for (const name of ["config.yaml", "kubeadm-flags.env"] as const) {
    for (const text of ["", files[name].slice(0, -1), "\0".repeat(files[name].length)]) {
      await write({ [name]: text });
      assert.equal(await areKubeletFilesWhole(folder), false, `${name} ${JSON.stringify(text)}`);
    }
  }
  await write({});
  assert.equal(await areKubeletFilesWhole(folder), true);
  await Deno.remove(folder, { recursive: true });
});

const MANIFEST = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: etcd\nspec: {}\nstatus: {}\n";

Deno.test("isWholeManifest() is false when a manifest is cut off or missing", async () => {
  const path = await Deno.makeTempFile();
  for (let length = 0; length < MANIFEST.length; length++) {
    await Deno.writeTextFile(path, MANIFEST.slice(0, length));
    assert.equal(await isWholeManifest(path), false, String(length));
  }
  await Deno.writeTextFile(path, MANIFEST);
  assert.equal(await isWholeManifest(path), true);
  await Deno.remove(path);
  assert.equal(await isWholeManifest(path), false);
});

Deno.test("missingSharedKeys() names exactly the missing or torn files that control planes share", () =>
  withFolder(async (folder) => {
    assert.deepEqual(await missingSharedKeys(folder), []);
    for (const name of ["apiserver.key", "ca.key", "sa.pub"]) await Deno.truncate(join(folder, "pki", name));
    await Deno.remove(join(folder, "pki/etcd/ca.crt"));
    assert.deepEqual(await missingSharedKeys(folder), ["ca.key", "sa.pub", "etcd/ca.crt"]);
  }));

Deno.test("isControlPlanePrepared() is true only when every certificate, kubeconfig and manifest is whole", () =>
  withFolder(async (folder) => {
    const manifests = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
      .map((name) => `manifests/${name}.yaml`);
    await Deno.mkdir(join(folder, "manifests"));
    for (const path of manifests) await Deno.writeTextFile(join(folder, path), MANIFEST);
    assert.equal(await isControlPlanePrepared(folder), true);
    const others = ["kubelet.conf"];
    for (const path of [...PKI, ...CONFIGS, ...manifests]) {
      const whole = await Deno.readTextFile(join(folder, path));
      await Deno.truncate(join(folder, path));
      assert.equal(await isControlPlanePrepared(folder), others.includes(path), path);
      await Deno.writeTextFile(join(folder, path), whole);
    }
  }));
