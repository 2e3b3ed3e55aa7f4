/**
 * `bootstrapper backup`: writes what a cluster is restored from.
 *
 * @module
 */
import project from "../../deno.json" with { type: "json" };
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand, ParsedCommand } from "../command.ts";
import { optionalText, outputForm, requiredText } from "../options.ts";
import type { BackupOptions } from "../programs/backup.ts";

/** Writes a backup of the cluster from this control plane. */
export const backup: CliCommand<BackupOptions> = {
  name: "backup",
  group: "On a node:",
  description: "back up the cluster: etcd and the keys of its control planes",
  notes: "Needs only this control plane's own etcd. The backup is sealed to the\n" +
    "recipients, read back, and only then gets its name. In a folder its name has\n" +
    "the cluster and the time, and --keep and --keep-days remove earlier ones; the\n" +
    "newest always stays.",
  examples: [
    "bootstrapper backup --to /mnt/backups --keep 14",
    "bootstrapper backup --to prod.backup --recipients recipients.txt",
  ],
  needsRoot: true,
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    command.requiredOption("--to <file>", "file to write, or an existing folder")
      .option(
        "--recipients <file>",
        "lines that `keygen --backup` printed",
        "/etc/bootstrapper/backup-recipients",
      )
      .option("--keep <count>", "keep at most so many backups of this cluster in the folder")
      .option("--keep-days <days>", "keep no backup of this cluster that is older");
  },
  read: (parsed) => ({
    target: requiredText(parsed, "to"),
    recipientsFile: requiredText(parsed, "recipients"),
    ...present("keep", count(parsed, "keep", "--keep")),
    ...present("keepDays", count(parsed, "keepDays", "--keep-days")),
    program: project.version,
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/backup.ts")).backup(options, context);
  },
};

function count(parsed: ParsedCommand, key: string, option: string): number | undefined {
  const text = optionalText(parsed, key);
  if (text === undefined || /^[1-9][0-9]{0,4}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new BootstrapError(
    "usage/backup-keep",
    `Cannot use ${option} ${JSON.stringify(text)} as it is no number from 1 to 99999`,
    {
      details: { option, value: text },
    },
  );
}
