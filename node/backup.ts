/**
 * Makes a backup on a control plane: gathers what the machine has, and a snapshot of its own member of etcd.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { ReadBackup } from "../backup/backup_file.ts";
import { writeBackup } from "../backup/backup_file.ts";
import type { BackupSubject } from "../backup/backup_head.ts";
import type { BackupContents } from "../backup/contents.ts";
import { applyRetention, backupName, type Retention } from "../backup/retention.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { readPem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import { AUTHORIZATION_FILE } from "../kubernetes/authorization_configuration.ts";
import { MAXIMUM_KEY_PEM_BYTES, readClusterKeys, wipeClusterKeys } from "../kubernetes/cluster_keys.ts";
import { EtcdChannel, parseEtcdEndpoint } from "../kubernetes/etcd_channel.ts";
import { beginSnapshot } from "../kubernetes/etcd_snapshot.ts";
import type { Bytes } from "../platform/bytes.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFile, readFileIfExists } from "../platform/files.ts";
import { KEPT_POLICY_FILE, KeptPolicy } from "../service/kept_policy.ts";
import { hasServiceState, readClusterName, readPolicyDocument } from "../service/service_state.ts";
import { SERVICE_KEY_FILE, SERVICE_STATE_FILE } from "../service/service_state.ts";
import { readOwnCredentials, readOwnMember } from "./own_etcd.ts";
import type { NodePaths } from "./paths.ts";

/** What {@linkcode makeBackup} needs. */
export interface BackupParts {
  readonly paths: Pick<NodePaths, "kubernetes" | "joinService" | "joinSigner">;
  readonly clock: Pick<Clock, "now">;
  /** The version of this program. */
  readonly program: string;
  /** The file, or an existing folder, in which the backup gets a name of its own. */
  readonly target: string;
  /** X25519 public keys, at least one. */
  readonly recipients: readonly Bytes[];
  /** Which backups of this cluster stay in the folder. */
  readonly retention?: Retention;
  readonly signal: AbortSignal;
}

/** A backup that was made and read back. */
export interface MadeBackup {
  readonly path: string;
  readonly subject: BackupSubject;
  readonly read: ReadBackup;
  /** The paths of earlier backups that were removed. */
  readonly removed: readonly string[];
}

/** For 8 GB, the most that etcd's documentation recommends, at 3 MB a second. */
const SNAPSHOT_DEADLINE_MS = 45 * 60_000;
const MAXIMUM_FILE_BYTES = 2 << 20;

/**
 * Makes a backup. It reads only this machine and its own member of etcd, so it needs neither an API server nor a quorum.
 *
 * @throws {BootstrapError} `precondition/not-a-control-plane`, `precondition/no-join-service`, `usage/backup-target` if
 *   backups are to be kept by count or age and the target is no folder, `unavailable/etcd` and the others of etcd,
 *   `system/file`; the errors of `writeBackup()`.
 */
export async function makeBackup(parts: BackupParts): Promise<MadeBackup> {
  const { paths: { kubernetes }, clock, target, recipients, retention, signal } = parts;
  const isFolder = await isFolderAt(target);
  if (retention !== undefined && !isFolder) {
    throw new BootstrapError("usage/backup-target", `Cannot keep some of the backups at ${target} as it is no folder`, {
      details: { path: target },
    });
  }
  const member = await readOwnMember(kubernetes);
  const [endpoint] = (member?.endpoints ?? []).map(parseEtcdEndpoint);
  if (member === undefined || endpoint === undefined) {
    throw new BootstrapError("precondition/not-a-control-plane", "This machine has no member of etcd to back up");
  }
  const { subject, ...gathered } = await gather(parts, clock.now());
  try {
    const channel = new EtcdChannel(endpoint, await readOwnCredentials(kubernetes));
    const deadline = Date.now() + SNAPSHOT_DEADLINE_MS;
    const { etcdVersion, revision, bytes, content } = await beginSnapshot(channel, { deadline, signal });
    const source = { program: parts.program, etcdVersion, peerUrl: member.peerUrl, revision, bytes };
    const path = isFolder ? join(target, backupName(subject)) : target;
    const read = await writeBackup(path, subject, recipients, { source, ...gathered }, content);
    const removed = retention === undefined ? [] : await applyRetention(dirname(path), subject, retention);
    return { path, subject, read, removed };
  } finally {
    wipeClusterKeys(gathered.kit.keys);
  }
}

async function gather(
  { paths: { kubernetes, joinService, joinSigner } }: BackupParts,
  now: Date,
): Promise<Omit<BackupContents, "source"> & { readonly subject: BackupSubject }> {
  const pki = join(kubernetes, "pki");
  if (!await exists(join(pki, "ca.key"))) {
    throw new BootstrapError("precondition/not-a-control-plane", `This machine has no ${join(pki, "ca.key")}`);
  }
  if (!await hasServiceState(joinService)) {
    throw new BootstrapError("precondition/no-join-service", `This machine has no ${joinService}`);
  }
  const caPath = join(pki, "ca.crt");
  const caCertificatePem = fromUtf8(await readFile(caPath, MAXIMUM_KEY_PEM_BYTES), caPath);
  const clusterId = await clusterIdOf(readCertificate(readPem(caCertificatePem, "CERTIFICATE", caPath), caPath));
  const policyDocument = await new KeptPolicy(joinSigner, clusterId).read() ?? await readPolicyDocument(joinService);
  const files = new Map<string, Bytes>();
  for (
    const [name, path] of [
      [`join-service/${SERVICE_KEY_FILE}`, join(joinService, SERVICE_KEY_FILE)],
      [`join-service/${SERVICE_STATE_FILE}`, join(joinService, SERVICE_STATE_FILE)],
      [`join-signer/${KEPT_POLICY_FILE}`, join(joinSigner, KEPT_POLICY_FILE)],
      [`kubernetes/${AUTHORIZATION_FILE}`, join(kubernetes, "bootstrapper", AUTHORIZATION_FILE)],
    ] as const
  ) {
    const bytes = await readFileIfExists(path, MAXIMUM_FILE_BYTES);
    if (bytes !== undefined) files.set(name, bytes);
  }
  return {
    subject: { clusterId, clusterName: await readClusterName(joinService), createdAt: now },
    caCertificatePem,
    kit: { keys: await readClusterKeys(pki), policyDocument },
    files,
  };
}

async function isFolderAt(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new BootstrapError("system/file", `Cannot look at ${path}`, { cause: error, details: { path } });
  }
}
