/**
 * `bootstrapper restore`: shows that a backup can be restored, or unpacks it.
 *
 * @module
 */
import { readClusterId } from "../../certificate/cluster_id.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { firstArgument, isSet, optionalText, outputForm, requiredText } from "../options.ts";
import type { RestoreOptions } from "../programs/restore.ts";

/** Restores a backup into a throw-away etcd, or unpacks it into a folder. */
export const restore: CliCommand<RestoreOptions> = {
  name: "restore",
  group: "For operators:",
  description: "try out a backup, or unpack it for a restore by hand",
  notes: "--drill restores into an etcd on loopback, reads the cluster back, removes\n" +
    "everything again, and prints how long each step took. It needs etcd and\n" +
    "etcdutl. What a killed drill leaves behind in the folder of temporary files\n" +
    "holds the cluster's keys.",
  examples: [
    "bootstrapper restore prod.backup --key backup.key --drill",
    "bootstrapper restore prod.backup --key backup.key --unpack unpacked",
  ],
  keeps: ["env", "net", "read", "run", "sys", "write"],
  declare(command) {
    command.argument("<backup>", "file that `bootstrapper backup` wrote")
      .requiredOption("--key <file>", "private key that `keygen --backup` wrote")
      .option("--passphrase-file <file>", "passphrase of the key (default: asked at the terminal)")
      .option("--cluster-id <id>", "refuse a backup of any other cluster")
      .option("--drill", "try out the backup")
      .option("--unpack <folder>", "unpack the backup into a new folder")
      .option("--programs <folder>", "folder of etcd and etcdutl (default: the PATH)");
  },
  read(parsed) {
    const unpackFolder = optionalText(parsed, "unpack");
    const clusterId = optionalText(parsed, "clusterId");
    if (isSet(parsed, "drill") === (unpackFolder !== undefined)) {
      throw new BootstrapError("usage/restore", "Give one of --drill and --unpack", { details: { option: "--drill" } });
    }
    return {
      file: firstArgument(parsed),
      keyFile: requiredText(parsed, "key"),
      ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
      ...present("clusterId", clusterId === undefined ? undefined : readClusterId(clusterId, "--cluster-id")),
      ...present("unpackFolder", unpackFolder),
      ...present("programs", optionalText(parsed, "programs")),
      output: outputForm(parsed),
    };
  },
  async action(options, context) {
    await (await import("../programs/restore.ts")).restore(options, context);
  },
};
