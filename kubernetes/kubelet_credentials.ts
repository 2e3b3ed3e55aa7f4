/**
 * The kubelet's certificates on disk: one PEM file for its client certificate and one for its serving certificate, and
 * the kubeconfig that names the first.
 *
 * The kubelet requests no certificate by itself. Each file holds certificate and key, because the kubelet reads both one
 * after the other while it runs, and is replaced by rename, so that the two always match.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import type { KeyPair } from "../certificate/keys.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import { base64, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFileIfExists, removeTemporaries, writeFileAtomic } from "../platform/files.ts";
import { isWholeKubeconfig } from "./_torn_files.ts";

/** What a certificate of a node is for. */
export type NodeCertificateUsage = "client" | "serving";

/** The folders with the kubelet's files. */
export interface KubeletPaths {
  /** Kubernetes' configuration folder, `/etc/kubernetes`. */
  readonly kubernetes: string;
  /** The folder of the kubelet's state, `/var/lib/kubelet`. */
  readonly kubelet: string;
}

/** The two certificates of a node. */
export type NodeCertificates = Readonly<Record<NodeCertificateUsage, Certificate>>;
/** Their keys, made on this node. */
export type NodeCertificateKeys = Readonly<Record<NodeCertificateUsage, KeyPair>>;

/** The folder of the kubelet's serving certificate on every node, as the KubeletConfiguration of the cluster names it. */
export const KUBELET_FOLDER = "/var/lib/kubelet";

const PEM_FILES: Readonly<Record<NodeCertificateUsage, string>> = Object.freeze({
  client: "bootstrapper-client.pem",
  serving: "bootstrapper-serving.pem",
});
const KUBECONFIG = "kubelet.conf";
const SECRET_MODE = 0o600;
const PKI_FOLDER_MODE = 0o700;
const PEM_MAXIMUM_BYTES = 1 << 16;
const FIRST_CERTIFICATE = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n/;

/** The path of the file with a certificate and its key. */
export function nodeCertificatePath(kubeletFolder: string, usage: NodeCertificateUsage): string {
  return join(kubeletFolder, "pki", PEM_FILES[usage]);
}

/**
 * Installs the certificates of a node, at a join and at each renewal. It may be repeated. A running kubelet takes them
 * into use within five minutes (client-go's `CertCallbackRefreshDuration`). One process at a time may call it.
 *
 * @throws {BootstrapError} `system/file`.
 */
export async function installNodeCertificates(
  { kubelet }: Pick<KubeletPaths, "kubelet">,
  certificates: NodeCertificates,
  keys: NodeCertificateKeys,
): Promise<void> {
  await ensureFolder(join(kubelet, "pki"), PKI_FOLDER_MODE);
  for (const usage of ["serving", "client"] as const) {
    const pem = writePem("CERTIFICATE", certificates[usage].der) + await privateKeyPem(keys[usage]);
    const path = nodeCertificatePath(kubelet, usage);
    // A process that was killed here left a key behind, for which a certificate is valid.
    await removeTemporaries(path);
    await writeFileAtomic(path, utf8(pem), { mode: SECRET_MODE });
  }
}

/**
 * Reads an installed certificate, without its key. Returns `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/node-certificate` with the path, `system/file`.
 */
export async function readNodeCertificate(
  { kubelet }: Pick<KubeletPaths, "kubelet">,
  usage: NodeCertificateUsage,
): Promise<Certificate | undefined> {
  const path = nodeCertificatePath(kubelet, usage);
  const bytes = await readFileIfExists(path, PEM_MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseNodeCertificate(bytes, path);
}

/** Reads the certificate at the start of a PEM file; see {@linkcode readNodeCertificate}. */
export function parseNodeCertificate(bytes: Uint8Array, path: string): Certificate {
  try {
    const [block] = FIRST_CERTIFICATE.exec(fromUtf8(bytes, path)) ?? [];
    return readCertificate(readPem(block ?? "", "CERTIFICATE", path), path);
  } catch {
    // The cause may quote the key that follows the certificate.
    throw new BootstrapError("malformed/node-certificate", `Cannot read the certificate at the start of ${path}`, {
      details: { path },
    });
  }
}

/** How the kubelet reaches its cluster. */
export interface KubeletCluster {
  /** The API server's URL. */
  readonly server: string;
  /** The cluster's CA, PEM. */
  readonly caPem: string;
}

/**
 * Writes the kubelet's kubeconfig, which names the file of the client certificate. kubeadm keeps it: its join waits
 * until there is one, its init takes one whose CA is the cluster's, and an upgrade changes only the server.
 *
 * @throws {BootstrapError} `system/file`.
 */
export async function writeKubeletKubeconfig(paths: KubeletPaths, { server, caPem }: KubeletCluster): Promise<void> {
  const pem = nodeCertificatePath(paths.kubelet, "client");
  const [cluster, user] = ["kubernetes", "kubelet"];
  const context = `${user}@${cluster}`;
  const text = stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: cluster, cluster: { server, "certificate-authority-data": base64(utf8(caPem)) } }],
    users: [{ name: user, user: { "client-certificate": pem, "client-key": pem } }],
    contexts: [{ name: context, context: { cluster, user } }],
    "current-context": context,
  }, { lineWidth: 0 });
  await ensureFolder(paths.kubernetes);
  await writeFileAtomic(kubeletKubeconfigPath(paths), utf8(text), { mode: SECRET_MODE });
}

/** Whether the kubelet has its kubeconfig, and the certificate and the key that it names. */
export function hasKubeletCredentials(paths: Pick<KubeletPaths, "kubernetes">): Promise<boolean> {
  return isWholeKubeconfig(kubeletKubeconfigPath(paths));
}

/** The path of the kubelet's kubeconfig. */
export function kubeletKubeconfigPath({ kubernetes }: Pick<KubeletPaths, "kubernetes">): string {
  return join(kubernetes, KUBECONFIG);
}
