/**
 * `bootstrapper backup`: writes what a cluster is restored from.
 *
 * @module
 */
import { readRecipients } from "../../backup/recipient.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { makeBackup } from "../../node/backup.ts";
import { fromUtf8 } from "../../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { fileSize, readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `backup`. */
export interface BackupOptions {
  /** The file, or an existing folder. */
  readonly target: string;
  readonly recipientsFile: string;
  /** The most backups that stay in the folder. */
  readonly keep?: number;
  /** The greatest age of those that stay. */
  readonly keepDays?: number;
  /** This program's version. */
  readonly program: string;
  readonly output: OutputForm;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Writes a backup and prints what is in it.
 *
 * @throws {BootstrapError} `usage/backup-recipient`, `system/file`; the errors of `makeBackup()`.
 */
export async function backup(options: BackupOptions, context: CliContext): Promise<void> {
  using termination = terminationSignal();
  const { clock, paths } = context;
  const { recipientsFile, keep, keepDays, target, program } = options;
  const text = fromUtf8(await readFile(recipientsFile, MAXIMUM_DOCUMENT_BYTES), recipientsFile);
  const recipients = readRecipients(text, recipientsFile);
  const startMs = clock.monotonicMs();
  const { path, subject, read, removed } = await makeBackup({
    ...{ paths, clock, program, target, recipients, signal: termination.signal },
    ...(keep === undefined && keepDays === undefined ? {} : {
      retention: { ...present("count", keep), ...present("ageMs", keepDays && keepDays * DAY_MS) },
    }),
  });
  const { source } = read.contents;
  const result = {
    path,
    bytes: await fileSize(path),
    clusterName: subject.clusterName,
    clusterId: clusterIdText(subject.clusterId),
    createdAt: subject.createdAt.toISOString(),
    etcdVersion: source.etcdVersion,
    revision: String(source.revision),
    snapshotBytes: source.bytes,
    snapshotSha256: read.snapshotSha256,
    recipients: recipients.length,
    removed,
    ms: Math.round(clock.monotonicMs() - startMs),
  };
  const lines = [
    `Wrote ${path} (${result.bytes} bytes) in ${seconds(result.ms)}, and read it back.`,
    `Cluster ${result.clusterName}, etcd ${result.etcdVersion}, revision ${result.revision}.`,
    `${recipients.length === 1 ? "One recipient" : `Each of ${recipients.length} recipients`} can open it.`,
    ...removed.map((file) => `Removed ${file}.`),
  ];
  printResult(context, options.output, result, lines.join("\n"));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
