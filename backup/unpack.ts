/**
 * Unpacks a backup into a folder: etcd's snapshot, and the keys and files of a control plane.
 *
 * @module
 */
import { join } from "node:path";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { installClusterKeys } from "../kubernetes/cluster_keys.ts";
import { equalBytes } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, exists, removeIfExists, renameFolder, syncFile, writeFileAtomic } from "../platform/files.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import type { SealingKeyPair } from "../protocol/node_keys.ts";
import type { ReadBackup } from "./backup_file.ts";
import { readBackup } from "./backup_file.ts";
import { openFileKey } from "./backup_head.ts";

/** The file of etcd's snapshot in the folder. */
export const SNAPSHOT_FILE = "snapshot.db";

const FOLDER_MODE = 0o700;
const SECRET_MODE = 0o600;

/** Which backup to unpack. */
export interface UnpackParts {
  readonly file: string;
  readonly keys: SealingKeyPair;
  /** The cluster that the backup must be of, 32 bytes. Default: any. */
  readonly clusterId?: Bytes;
  readonly now: Date;
}

/**
 * Unpacks a backup. The folder gets its name when all of the backup has been read and checked, so it is never there in
 * part: a call that was killed is done again.
 *
 * @param folder It must not exist.
 * @throws {BootstrapError} `precondition/file-exists`, `refused/backup-cluster`, `refused/backup-key`, `system/file`; the
 *   errors of `readBackup()`.
 */
export async function unpackBackup(parts: UnpackParts, folder: string): Promise<ReadBackup> {
  if (await exists(folder)) {
    throw new BootstrapError("precondition/file-exists", `Cannot unpack to ${folder} as it exists`, {
      next: "Name another folder, or remove this one",
      details: { path: folder },
    });
  }
  const partial = `${folder}.partial`;
  await removeIfExists(partial);
  await ensureFolder(partial, FOLDER_MODE);
  try {
    const read = await unpackInto(parts, partial);
    await renameFolder(partial, folder);
    return read;
  } catch (error) {
    await removeIfExists(partial);
    throw error;
  }
}

async function unpackInto({ file, keys, clusterId, now }: UnpackParts, folder: string): Promise<ReadBackup> {
  const snapshotPath = join(folder, SNAPSHOT_FILE);
  using snapshot = await Deno.open(snapshotPath, { write: true, createNew: true, mode: SECRET_MODE });
  const read = await readBackup(
    file,
    (head) => {
      if (clusterId !== undefined && !equalBytes(clusterId, head.clusterId)) {
        const [expected, seen] = [clusterIdText(clusterId), clusterIdText(head.clusterId)];
        throw new BootstrapError(
          "refused/backup-cluster",
          `The backup is of the cluster ${head.clusterName} with the ID ${seen}, not of ${expected}`,
          { details: { check: "backup-cluster", expected, seen } },
        );
      }
      return openFileKey(head, keys);
    },
    now,
    {
      async snapshot(bytes) {
        for (let written = 0; written < bytes.length;) written += await snapshot.write(bytes.subarray(written));
      },
    },
  );
  await syncFile(snapshotPath);
  const { contents } = read;
  await installClusterKeys(join(folder, "pki"), contents.kit.keys, contents.caCertificatePem);
  wipeKit(contents.kit);
  for (const [name, bytes] of contents.files) {
    const path = join(folder, name);
    await ensureFolder(join(path, ".."), FOLDER_MODE);
    await writeFileAtomic(path, bytes, { mode: SECRET_MODE });
  }
  if (contents.diskSecret !== undefined) {
    await writeFileAtomic(join(folder, "disk-secret"), contents.diskSecret, { mode: SECRET_MODE });
    contents.diskSecret.fill(0);
  }
  return read;
}
