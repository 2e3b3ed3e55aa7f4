/**
 * The operator's record of clusters: for each name, the cluster ID, the machine and the operation.
 *
 * A founding cannot be revoked, so a name must never be founded twice by mistake. The record is therefore forced to
 * disk before a founding leaves the machine.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, exists, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";

/** The record of a cluster's name. */
export interface ClusterRecord {
  /** The version of the format. */
  readonly version: 1;
  readonly clusterName: string;
  /**
   * `pending`: a founding may have left this machine. `founded`: the cluster stood. `abandoned`: the operator has given
   * the cluster up, and nodes of that name must carry the ID of the next one.
   */
  readonly state: "pending" | "founded" | "abandoned";
  /** 64 characters of lower-case hexadecimal. */
  readonly clusterId: string;
  /** The machine's identity, 64 characters of lower-case hexadecimal. */
  readonly identity: string;
  /** 32 characters of lower-case hexadecimal. */
  readonly operationId: string;
  /** SPKI of the operator's key, hexadecimal. */
  readonly operatorKey: string;
  /** The cluster's settings of this operation, YAML. */
  readonly clusterDocument: string;
  /** The policy of this operation, YAML. */
  readonly policyDocument: string;
  /**
   * While the record is pending, the key of the admin certificate, PKCS#8 PEM: a secret, as the file is. Empty
   * afterwards.
   */
  readonly adminKeyPem: string;
  /** The TPM's reset counter when the record was made. */
  readonly resetCount?: number;
  /**
   * Set if the machine has no register for the lock. The name is then never founded again on a machine of that kind.
   */
  readonly showsNoLock?: true;
  /** Set if the name was abandoned before this founding: it is again if the founding came to nothing. */
  readonly wasAbandoned?: true;
  /** The number of the operation's last event that was shown here. */
  readonly heard?: number;
  /** When the record was made, ISO 8601. */
  readonly time: string;
}

const hexadecimal = (length: number) => v.pipe(v.string(), v.length(length), v.regex(/^[0-9a-f]*$/));

const recordSchema: v.GenericSchema<unknown, ClusterRecord> = v.strictObject({
  version: v.literal(1),
  clusterName: v.string(),
  state: v.picklist(["pending", "founded", "abandoned"]),
  clusterId: hexadecimal(64),
  identity: hexadecimal(64),
  operationId: hexadecimal(32),
  operatorKey: v.string(),
  clusterDocument: v.string(),
  policyDocument: v.string(),
  adminKeyPem: v.string(),
  resetCount: v.exactOptional(v.number()),
  showsNoLock: v.exactOptional(v.literal(true)),
  wasAbandoned: v.exactOptional(v.literal(true)),
  heard: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  time: v.string(),
});

/** Two documents of 64 KiB, each character of which JSON may write as two, and the rest. */
const MAXIMUM_RECORD_BYTES = 1 << 19;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** The record of one name, held by one process. */
export interface HeldRecord extends Disposable {
  /** The current record, if there is one. */
  readonly current: ClusterRecord | undefined;
  /** Replaces the record, forced to disk; `undefined` removes it. */
  write(record: ClusterRecord | undefined): Promise<void>;
}

/**
 * Opens the record of a name, and keeps other processes from it until it is disposed.
 *
 * @param folder The folder of all records; created if it is missing.
 * @param clusterName The name; the caller has checked that it is a label.
 * @throws {BootstrapError} `malformed/cluster-record`, `unavailable/cluster-record` if another process holds it,
 *   `system/file`.
 */
export async function holdRecord(folder: string, clusterName: string): Promise<HeldRecord> {
  await ensureFolder(folder, FOLDER_MODE);
  const lock = await openLock(join(folder, `${clusterName}.lock`));
  if (!await lock.tryLock(true)) {
    lock.close();
    throw new BootstrapError(
      "unavailable/cluster-record",
      `Another init of "${clusterName}" is running on this machine`,
    );
  }
  const path = recordPath(folder, clusterName);
  const release = () => {
    // A child process that is being forked has the file open too, until it executes another program.
    lock.unlockSync();
    lock.close();
  };
  try {
    const bytes = await readFileIfExists(path, MAXIMUM_RECORD_BYTES);
    let current = bytes === undefined ? undefined : readRecord(bytes, path);
    return {
      get current() {
        return current;
      },
      async write(record) {
        if (record === undefined) await removeIfExists(path);
        else await writeFileAtomic(path, utf8(JSON.stringify(record, null, 2) + "\n"), { mode: FILE_MODE });
        current = record;
      },
      [Symbol.dispose]: release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

function recordPath(folder: string, clusterName: string): string {
  return join(folder, `${clusterName}.json`);
}

async function openLock(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { create: true, write: true, mode: FILE_MODE });
  } catch (cause) {
    throw new BootstrapError("system/file", `Cannot open ${path}`, { cause, details: { path } });
  }
}

function readRecord(bytes: Uint8Array, path: string): ClusterRecord {
  return readJson(bytes, {
    schema: recordSchema,
    maximumBytes: MAXIMUM_RECORD_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/cluster-record", `Cannot read the record ${path}: ${reason}`, {
        cause,
        next: "Restore the file from a backup; without it a second cluster of the name could be founded",
        details: { path, key },
      }),
  });
}

/**
 * Gives a cluster up, so that its name can be founded again. An unknown name leaves nothing behind.
 *
 * @throws {BootstrapError} `precondition/no-cluster` if the name is not recorded.
 */
export async function abandonCluster(folder: string, clusterName: string): Promise<ClusterRecord> {
  const noCluster = () =>
    new BootstrapError("precondition/no-cluster", `No cluster "${clusterName}" is recorded in ${folder}`);
  // To hold a record makes its folder and its lock file.
  if (!await exists(recordPath(folder, clusterName))) throw noCluster();
  using held = await holdRecord(folder, clusterName);
  if (held.current === undefined) throw noCluster();
  const abandoned: ClusterRecord = { ...held.current, state: "abandoned", adminKeyPem: "" };
  await held.write(abandoned);
  return abandoned;
}
