/**
 * The keys that all control planes of a cluster share, in kubeadm's files or as a unit's credentials.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import {
  ensureFolder,
  readFile,
  readFileIfExists,
  removeTemporaries,
  syncFile,
  writeFileAtomic,
} from "../platform/files.ts";

/** The shared keys of a cluster's control planes. Each is one block of PEM. */
export interface ClusterKeys {
  /** The key of the cluster's CA. */
  readonly caKey: Bytes;
  /** The key that signs service accounts' tokens. */
  readonly serviceAccountKey: Bytes;
  /** The public key of `serviceAccountKey`. */
  readonly serviceAccountPublicKey: Bytes;
  /** The CA of the API server's front proxies. */
  readonly frontProxyCaCertificate: Bytes;
  /** The key of `frontProxyCaCertificate`. */
  readonly frontProxyCaKey: Bytes;
  /** The CA of etcd's members and clients. */
  readonly etcdCaCertificate: Bytes;
  /** The key of `etcdCaCertificate`. */
  readonly etcdCaKey: Bytes;
}

/** The name of one of the keys. */
export type ClusterKeyName = keyof ClusterKeys;

/** The name of each key's file, relative to a folder. */
export type ClusterKeyFiles = Readonly<Record<ClusterKeyName, string>>;

/** The credentials of an etcd client, PEM. */
export interface EtcdCredentials {
  /** The CA of etcd's members. */
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** kubeadm's file names below `/etc/kubernetes/pki`. */
export const KUBEADM_KEY_FILES: ClusterKeyFiles = Object.freeze({
  caKey: "ca.key",
  serviceAccountKey: "sa.key",
  serviceAccountPublicKey: "sa.pub",
  frontProxyCaCertificate: "front-proxy-ca.crt",
  frontProxyCaKey: "front-proxy-ca.key",
  etcdCaCertificate: "etcd/ca.crt",
  etcdCaKey: "etcd/ca.key",
});

/** The names of the join service's credentials in `$CREDENTIALS_DIRECTORY`, which has no subfolders. */
export const CREDENTIAL_KEY_FILES: ClusterKeyFiles = Object.freeze({
  ...KUBEADM_KEY_FILES,
  etcdCaCertificate: "etcd-ca.crt",
  etcdCaKey: "etcd-ca.key",
});

/** kubeadm's `etcd/healthcheck-client`, under the names of the join service's credentials. */
export const CREDENTIAL_ETCD_FILES = { certificate: "etcd-client.crt", key: "etcd-client.key" } as const;

/** The largest PEM of a key or certificate: RSA of 8192 bits is 6.4 KiB. */
export const MAXIMUM_KEY_PEM_BYTES = 8192;

const CA_CERTIFICATE_FILE = "ca.crt";
/** kubeadm's modes. Only root may read files other than certificates, including `sa.pub`. */
const CERTIFICATE_MODE = 0o644;
const SECRET_MODE = 0o600;
const FOLDER_MODE = 0o755;
const MODE_BITS = 0o7777;

/**
 * Reads the keys from a folder. It does not check the content of the files.
 *
 * @param folder The folder.
 * @param files The file names: kubeadm's, or {@linkcode CREDENTIAL_KEY_FILES}.
 * @throws {BootstrapError} `system/file`, with the first file that cannot be read; `malformed/size`.
 */
export async function readClusterKeys(
  folder: string,
  files: ClusterKeyFiles = KUBEADM_KEY_FILES,
): Promise<ClusterKeys> {
  const read = (name: ClusterKeyName) => readFile(join(folder, files[name]), MAXIMUM_KEY_PEM_BYTES);
  return {
    caKey: await read("caKey"),
    serviceAccountKey: await read("serviceAccountKey"),
    serviceAccountPublicKey: await read("serviceAccountPublicKey"),
    frontProxyCaCertificate: await read("frontProxyCaCertificate"),
    frontProxyCaKey: await read("frontProxyCaKey"),
    etcdCaCertificate: await read("etcdCaCertificate"),
    etcdCaKey: await read("etcdCaKey"),
  };
}

/**
 * Reads the join service's credentials for etcd from the folder of its credentials.
 *
 * @throws {BootstrapError} `system/file`, with the first file that cannot be read; `malformed/size`, `malformed/utf8`.
 */
export async function readEtcdCredentials(folder: string): Promise<EtcdCredentials> {
  const read = async (name: string) => {
    const path = join(folder, name);
    return fromUtf8(await readFile(path, MAXIMUM_KEY_PEM_BYTES), path);
  };
  return {
    caPem: await read(CREDENTIAL_KEY_FILES.etcdCaCertificate),
    certificatePem: await read(CREDENTIAL_ETCD_FILES.certificate),
    keyPem: await read(CREDENTIAL_ETCD_FILES.key),
  };
}

/**
 * Writes the keys and the CA's certificate under kubeadm's names and modes. Each file is written atomically and forced
 * to disk. The call may be repeated, even after it was killed, but not concurrently. It keeps correct files and
 * replaces all others.
 *
 * @param pkiFolder `/etc/kubernetes/pki`. It is created with its parents if it does not exist.
 * @param keys The keys.
 * @param caCertificatePem The certificate of the cluster's CA.
 * @throws {BootstrapError} `system/file`, with the path.
 */
export async function installClusterKeys(
  pkiFolder: string,
  keys: ClusterKeys,
  caCertificatePem: string,
): Promise<void> {
  await installPkiFile(join(pkiFolder, CA_CERTIFICATE_FILE), utf8(caCertificatePem));
  for (const name of clusterKeyNames()) await installPkiFile(join(pkiFolder, KUBEADM_KEY_FILES[name]), keys[name]);
}

/** Overwrites the keys with zeros. */
export function wipeClusterKeys(keys: ClusterKeys): void {
  for (const name of clusterKeyNames()) keys[name].fill(0);
}

/** Returns the names of all keys. */
export function clusterKeyNames(): readonly ClusterKeyName[] {
  return Object.keys(KUBEADM_KEY_FILES) as ClusterKeyName[];
}

/**
 * Writes one file below `/etc/kubernetes/pki` like {@linkcode installClusterKeys}: as a certificate if its name ends in
 * `.crt`, otherwise as a secret.
 *
 * @throws {BootstrapError} `system/file`, with the path.
 */
export async function installPkiFile(path: string, bytes: Uint8Array): Promise<void> {
  const mode = path.endsWith(".crt") ? CERTIFICATE_MODE : SECRET_MODE;
  await ensureFolder(dirname(path), FOLDER_MODE);
  // Temporary files of a killed writer also contain a key.
  await removeTemporaries(path);
  if (await isInstalled(path, bytes, mode)) await syncFile(path);
  else await writeFileAtomic(path, bytes, { mode });
}

async function isInstalled(path: string, bytes: Uint8Array, mode: number): Promise<boolean> {
  const found = await Deno.lstat(path).catch(() => undefined);
  if (found === undefined || !found.isFile || found.size !== bytes.length) return false;
  if (((found.mode ?? 0) & MODE_BITS) !== mode) return false;
  const seen = await readFileIfExists(path, bytes.length);
  return seen !== undefined && equalBytes(seen, bytes);
}
