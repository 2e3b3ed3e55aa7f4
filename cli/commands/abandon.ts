/**
 * `bootstrapper abandon`: an operator gives up a cluster, so that its name can be used again.
 *
 * @module
 */
import type { Command } from "commander";
import type { CliContext, OutputForm } from "../context.ts";
import { clusterNameArgument } from "../cluster_name.ts";
import { recordsFolder, withRecords } from "./init.ts";
import { outputForm, withOutput } from "../options.ts";
import { dropPermissions } from "../permissions.ts";

/** The options of `abandon`. */
export interface AbandonOptions {
  /** The name of the cluster. */
  readonly clusterName: string;
  /** The operator's records of clusters. */
  readonly recordsFolder: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Marks the record of a cluster as abandoned. */
export type AbandonHandler = (options: AbandonOptions, context: CliContext) => Promise<void>;

/**
 * Declares `abandon`.
 *
 * @internal
 */
export function declareAbandon(program: Command, context: CliContext, handler: AbandonHandler): void {
  withRecords(withOutput(
    program.command("abandon").argument("<name>", "the cluster's name")
      .description("give up a cluster, so that its name can be used again"),
  )).action(async (name: string, _options: unknown, command: Command) => {
    const clusterName = clusterNameArgument(name);
    await dropPermissions("abandon", context.permissions);
    await handler(
      { clusterName, recordsFolder: recordsFolder(command, context), output: outputForm(command) },
      context,
    );
  });
}
