/**
 * `bootstrapper restore`: shows that a backup can be restored, or unpacks it.
 *
 * @module
 */
import { drill } from "../../backup/drill.ts";
import { unpackBackup } from "../../backup/unpack.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { present } from "../../platform/present.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { readRecipientKeyFile } from "../operator_key_file.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `restore`. */
export interface RestoreOptions {
  readonly file: string;
  /** The recipient's private key. */
  readonly keyFile: string;
  readonly passphraseFile?: string;
  /** The cluster that the backup must be of. */
  readonly clusterId?: Bytes;
  /** The new folder to unpack into. Default: the backup is tried out. */
  readonly unpackFolder?: string;
  /** The folder of etcd and etcdutl. */
  readonly programs?: string;
  readonly output: OutputForm;
}

/**
 * Tries out or unpacks a backup.
 *
 * @throws {BootstrapError} The errors of the key's file, of `drill()` and of `unpackBackup()`.
 */
export async function restore(options: RestoreOptions, context: CliContext): Promise<void> {
  using termination = terminationSignal();
  const { file, keyFile, passphraseFile, clusterId, unpackFolder, output } = options;
  const { clock, commands, terminal } = context;
  const keys = await readRecipientKeyFile(keyFile, passphraseFile, terminal);
  const what = { file, keys, ...present("clusterId", clusterId) };
  if (unpackFolder !== undefined) {
    const { head, contents } = await unpackBackup({ ...what, now: clock.now() }, unpackFolder);
    const cluster = { clusterName: head.clusterName, clusterId: clusterIdText(head.clusterId) };
    const { etcdVersion, revision } = contents.source;
    const result = { ...cluster, folder: unpackFolder, createdAt: head.createdAt.toISOString(), etcdVersion };
    const text = `Unpacked the backup of ${head.clusterName} of ${result.createdAt} to ${unpackFolder}.\n` +
      `It is whole: etcd ${etcdVersion}, revision ${revision}. The folder holds the keys of the cluster.`;
    printResult(context, output, { ...result, revision: String(revision) }, text);
    return;
  }
  const onStep = ({ name, ms }: { readonly name: string; readonly ms: number }) => {
    if (output === "text") context.printError(`${name.padEnd(22)}${(ms / 1000).toFixed(2).padStart(8)} s\n`);
  };
  const found = await drill({
    ...{ ...what, clock, commands, onStep, signal: termination.signal },
    ...present("programs", options.programs),
  });
  const totalMs = found.steps.reduce((sum, { ms }) => sum + ms, 0);
  const result = {
    ...found,
    createdAt: found.createdAt.toISOString(),
    backupRevision: String(found.backupRevision),
    restoredRevision: String(found.restoredRevision),
    objects: Number(found.objects),
    totalMs,
  };
  const text = `The backup of ${found.clusterName} of ${result.createdAt} can be restored: ` +
    `${found.objects} objects, ${found.nodes.length} Nodes (${found.nodes.join(", ")}).\n` +
    `It took ${(totalMs / 1000).toFixed(1)} s. Revisions go on from ${found.restoredRevision}.`;
  printResult(context, output, result, text);
}
