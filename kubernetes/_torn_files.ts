import { join } from "node:path";
import { readFileIfExists, removeIfExists } from "../platform/files.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/**
 * What kubeadm makes under `pki`, each with what it signs: a pair that is not whole goes, and with it what it signed.
 * The cluster's own CA is not here: it is ours, and written whole.
 */
const PAIRS: readonly {
  readonly name: string;
  readonly files: readonly string[];
  readonly signs: readonly string[];
}[] = [
  { name: "sa", files: ["sa.key", "sa.pub"], signs: [] },
  { name: "front-proxy-ca", files: certificatePair("front-proxy-ca"), signs: ["front-proxy-client"] },
  {
    name: "etcd/ca",
    files: certificatePair("etcd/ca"),
    signs: ["etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"],
  },
  ...[
    ...["apiserver", "apiserver-kubelet-client", "front-proxy-client", "apiserver-etcd-client"],
    ...["etcd/server", "etcd/peer", "etcd/healthcheck-client"],
  ].map((name) => ({ name, files: certificatePair(name), signs: [] })),
];

const KUBECONFIGS = ["admin.conf", "super-admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf"];

const PEM_MAXIMUM_BYTES = 1 << 20;

function certificatePair(name: string): readonly string[] {
  return [`${name}.key`, `${name}.crt`];
}

/** Whether a file is one PEM block with both its ends. */
export async function isWholePem(path: string): Promise<boolean> {
  const bytes = await readFileIfExists(path, PEM_MAXIMUM_BYTES);
  if (bytes === undefined || bytes.includes(0)) return false;
  return /^-----BEGIN ([A-Z ]+)-----\n[\s\S]+\n-----END \1-----\n$/.test(fromUtf8(bytes, path));
}

/** Whether a file is a kubeconfig whose certificates and keys can be read. */
export async function isWholeKubeconfig(path: string): Promise<boolean> {
  try {
    await readKubeconfig(path);
    return true;
  } catch {
    // Whatever is wrong with it, it is of no use.
    return false;
  }
}

/**
 * Removes what a killed kubeadm or a power cut left half-written: kubeadm keeps what it finds, takes half a pair for an
 * error or, worse, for an external CA, and makes anew what is missing. Nothing of it has been of use to anybody: a process
 * that reads such a file starts after all of them are written.
 */
export async function removeTornFiles(kubernetesFolder: string): Promise<void> {
  const pki = join(kubernetesFolder, "pki");
  const torn = new Set<string>();
  for (const { name, files, signs } of PAIRS) {
    const whole = await Promise.all(files.map((file) => isWholePem(join(pki, file))));
    if (whole.every(Boolean)) continue;
    for (const pair of [name, ...signs]) torn.add(pair);
  }
  for (const { name, files } of PAIRS) {
    if (torn.has(name)) { for (const file of files) await removeIfExists(join(pki, file)); }
  }
  for (const name of KUBECONFIGS) {
    const path = join(kubernetesFolder, name);
    if (!await isWholeKubeconfig(path)) await removeIfExists(path);
  }
}
