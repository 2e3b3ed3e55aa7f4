import assert from "node:assert/strict";
import { join } from "node:path";
import { concat, randomBytes, utf8 } from "../platform/bytes.ts";
import type { ClusterKeys } from "./cluster_keys.ts";
import {
  clusterKeyNames,
  CREDENTIAL_KEY_FILES,
  installClusterKeys,
  KUBEADM_KEY_FILES,
  readClusterKeys,
  readEtcdCredentials,
  wipeClusterKeys,
} from "./cluster_keys.ts";

const CA = "the CA's certificate";
const MODES = {
  ".": 0o755,
  "etcd": 0o755,
  "ca.crt": 0o644,
  "front-proxy-ca.crt": 0o644,
  "etcd/ca.crt": 0o644,
  "ca.key": 0o600,
  "sa.key": 0o600,
  "sa.pub": 0o600,
  "front-proxy-ca.key": 0o600,
  "etcd/ca.key": 0o600,
};

function newKeys(): ClusterKeys {
  const key = () => randomBytes(200);
  return {
    caKey: key(),
    serviceAccountKey: key(),
    serviceAccountPublicKey: key(),
    frontProxyCaCertificate: key(),
    frontProxyCaKey: key(),
    etcdCaCertificate: key(),
    etcdCaKey: key(),
  };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await test(join(parent, "pki"));
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

function assertInstalled(pki: string): void {
  for (const [name, mode] of Object.entries(MODES)) {
    assert.equal((Deno.lstatSync(join(pki, name)).mode ?? 0) & 0o7777, mode, name);
  }
  const names = [...Deno.readDirSync(pki), ...Deno.readDirSync(join(pki, "etcd"))].map(({ name }) => name);
  assert.equal(names.length, Object.keys(MODES).length - 1, names.join(" "));
  assert.equal(Deno.readTextFileSync(join(pki, "ca.crt")), CA);
}

const inode = (path: string) => Deno.lstatSync(path).ino;

Deno.test("installClusterKeys() writes every file with kubeadm's name and mode, and readClusterKeys() reads them", async () => {
  await withFolder(async (folder) => {
    const pki = join(folder, "kubernetes");
    const keys = newKeys();
    await installClusterKeys(pki, keys, CA);
    assertInstalled(pki);
    assert.deepEqual(await readClusterKeys(pki), keys);
  });
});

Deno.test("installClusterKeys() keeps correct files, and replaces all others", async () => {
  await withFolder(async (pki) => {
    const keys = newKeys();
    await installClusterKeys(pki, keys, CA);
    const files = ["ca.crt", ...Object.values(KUBEADM_KEY_FILES)].map((name) => join(pki, name));
    const before = files.map(inode);
    await installClusterKeys(pki, keys, CA);
    assert.deepEqual(files.map(inode), before);

    Deno.writeFileSync(join(pki, "ca.key"), concat(keys.caKey, Uint8Array.of(0)));
    Deno.writeFileSync(join(pki, "sa.key"), keys.serviceAccountKey.with(0, (keys.serviceAccountKey[0] ?? 0) ^ 1));
    Deno.chmodSync(join(pki, "etcd/ca.key"), 0o644);
    Deno.removeSync(join(pki, "sa.pub"));
    Deno.renameSync(join(pki, "front-proxy-ca.key"), join(pki, "elsewhere"));
    Deno.symlinkSync(join(pki, "elsewhere"), join(pki, "front-proxy-ca.key"));
    await installClusterKeys(pki, keys, CA);
    Deno.removeSync(join(pki, "elsewhere"));
    assertInstalled(pki);
    assert.deepEqual(await readClusterKeys(pki), keys);

    const others = newKeys();
    await installClusterKeys(pki, others, CA);
    assertInstalled(pki);
    assert.deepEqual(await readClusterKeys(pki), others);
  });
});

Deno.test("installClusterKeys() removes the temporary files of a killed writer", async () => {
  await withFolder(async (pki) => {
    Deno.mkdirSync(join(pki, "etcd"), { recursive: true, mode: 0o755 });
    for (const name of ["etcd/.ca.key.0123456789abcdef.tmp", ".sa.key.0123456789abcdef.tmp"]) {
      Deno.writeTextFileSync(join(pki, name), "half a key");
    }
    await installClusterKeys(pki, newKeys(), CA);
    assertInstalled(pki);
  });
});

Deno.test("installClusterKeys() names the file when it cannot write it", async () => {
  await withFolder(async (pki) => {
    Deno.mkdirSync(join(pki, "sa.key"), { recursive: true });
    const details = { path: join(pki, "sa.key") };
    await assert.rejects(installClusterKeys(pki, newKeys(), CA), { code: "system/file", details });
  });
});

Deno.test("readClusterKeys() and readEtcdCredentials() read a unit's credentials without subfolders", async () => {
  await withFolder(async (folder) => {
    Deno.mkdirSync(folder);
    const keys = newKeys();
    const etcdCaCertificate = utf8("etcd's CA");
    for (const name of clusterKeyNames()) {
      assert.ok(!CREDENTIAL_KEY_FILES[name].includes("/"));
      Deno.writeFileSync(join(folder, CREDENTIAL_KEY_FILES[name]), { ...keys, etcdCaCertificate }[name]);
    }
    await assert.rejects(readEtcdCredentials(folder), { code: "system/file", message: /etcd-client\.crt/ });
    Deno.writeTextFileSync(join(folder, "etcd-client.crt"), "a certificate");
    Deno.writeTextFileSync(join(folder, "etcd-client.key"), "its key");
    assert.deepEqual(await readClusterKeys(folder, CREDENTIAL_KEY_FILES), { ...keys, etcdCaCertificate });
    const credentials = { caPem: "etcd's CA", certificatePem: "a certificate", keyPem: "its key" };
    assert.deepEqual(await readEtcdCredentials(folder), credentials);
  });
});

Deno.test("readClusterKeys() names the file when it is missing or too large", async () => {
  await withFolder(async (pki) => {
    await installClusterKeys(pki, newKeys(), CA);
    for (const name of clusterKeyNames()) {
      const path = join(pki, KUBEADM_KEY_FILES[name]);
      const bytes = Deno.readFileSync(path);
      Deno.writeFileSync(path, new Uint8Array(8193));
      await assert.rejects(readClusterKeys(pki), { code: "malformed/size", message: new RegExp(path) });
      Deno.removeSync(path);
      await assert.rejects(readClusterKeys(pki), { code: "system/file", message: new RegExp(path) });
      Deno.writeFileSync(path, bytes);
    }
  });
});

Deno.test("wipeClusterKeys() overwrites all keys with zeros", () => {
  const keys = newKeys();
  wipeClusterKeys(keys);
  for (const name of clusterKeyNames()) assert.ok(keys[name].every((byte) => byte === 0), name);
});
