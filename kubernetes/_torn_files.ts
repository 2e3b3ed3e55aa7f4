import { join } from "node:path";
import { readFileIfExists, removeIfExists } from "../platform/files.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { KUBEADM_KEY_FILES } from "./cluster_keys.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/**
 * The files that kubeadm makes under `pki`, each with the files that it signs. An incomplete pair is removed together
 * with the files that it signed. The cluster's own CA is not listed: the bootstrapper writes it, always whole.
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

/** The kubelet's kubeconfig is not listed: the bootstrapper writes it, always whole. */
const KUBECONFIGS = ["admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"];

/** The files that control planes share. They are installed before a join, which never makes them. */
const SHARED_FILES = ["ca.crt", ...Object.values(KUBEADM_KEY_FILES)];

const CONTROL_PLANE_KUBECONFIGS = ["admin.conf", "controller-manager.conf", "scheduler.conf"];
const CONTROL_PLANE_MANIFESTS = ["kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"];

const FILE_MAXIMUM_BYTES = 1 << 20;

function certificatePair(name: string): readonly string[] {
  return [`${name}.key`, `${name}.crt`];
}

/** Whether a file is one complete PEM block. */
export async function isWholePem(path: string): Promise<boolean> {
  const bytes = await readFileIfExists(path, FILE_MAXIMUM_BYTES);
  if (bytes === undefined || bytes.includes(0)) return false;
  return /^-----BEGIN ([A-Z ]+)-----\n[\s\S]+\n-----END \1-----\n$/.test(fromUtf8(bytes, path));
}

/** Whether a file is a kubeconfig with readable certificates and keys. */
export async function isWholeKubeconfig(path: string): Promise<boolean> {
  try {
    await readKubeconfig(path);
    return true;
  } catch {
    // Any failure means that the file is unusable.
    return false;
  }
}

/**
 * Whether the files that kubeadm writes for the kubelet are whole. The second one is written after the first, and its
 * only value ends with a quotation mark (kubeadm, `phases/kubelet/flags.go`).
 */
export async function areKubeletFilesWhole(kubeletFolder: string): Promise<boolean> {
  const [configuration, flags] = await Promise.all(["config.yaml", "kubeadm-flags.env"].map(async (name) => {
    const bytes = await readFileIfExists(join(kubeletFolder, name), FILE_MAXIMUM_BYTES);
    return bytes === undefined || bytes.includes(0) ? "" : fromUtf8(bytes, name);
  }));
  return configuration?.endsWith("\n") === true && flags?.endsWith('"\n') === true;
}

/** Whether a file is a static Pod's manifest, complete to the last line that kubeadm writes. */
export async function isWholeManifest(path: string): Promise<boolean> {
  const bytes = await readFileIfExists(path, FILE_MAXIMUM_BYTES);
  if (bytes === undefined || bytes.includes(0)) return false;
  const text = fromUtf8(bytes, path);
  return text.startsWith("apiVersion: v1\nkind: Pod\n") && text.endsWith("\nstatus: {}\n");
}

/** Returns the shared keys below `pki` that a control plane needs before it joins and that are missing or torn. */
export async function missingSharedKeys(kubernetesFolder: string): Promise<string[]> {
  const missing: string[] = [];
  for (const name of SHARED_FILES) {
    if (!await isWholePem(join(kubernetesFolder, "pki", name))) missing.push(name);
  }
  return missing;
}

/**
 * Whether all files that kubeadm writes for a control plane are whole, except etcd's manifest and the kubelet's files.
 */
export async function isControlPlanePrepared(kubernetesFolder: string): Promise<boolean> {
  const pki = PAIRS.flatMap(({ files }) => files).concat("ca.crt", "ca.key");
  const looks = [
    ...pki.map((name) => isWholePem(join(kubernetesFolder, "pki", name))),
    ...CONTROL_PLANE_KUBECONFIGS.map((name) => isWholeKubeconfig(join(kubernetesFolder, name))),
    ...CONTROL_PLANE_MANIFESTS.map((name) => isWholeManifest(join(kubernetesFolder, "manifests", name))),
  ];
  return (await Promise.all(looks)).every(Boolean);
}

/**
 * Removes files that a killed kubeadm or a power cut left half-written. kubeadm keeps the files that it finds, and
 * makes only the missing ones; it treats half a pair as an error or, worse, as an external CA. No process has used the
 * removed files: every process that reads such a file starts after all of them are written.
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
