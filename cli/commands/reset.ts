/**
 * `bootstrapper reset`: makes a node fresh again.
 *
 * @module
 */
import type { Command } from "commander";
import { exists } from "../../platform/files.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { isSet, outputForm, withOutput } from "../options.ts";
import { dropPermissions } from "../permissions.ts";

/** The options of `reset`. */
export interface ResetOptions {
  /** Whether nobody is asked. */
  readonly yes: boolean;
  /** Whether to go on where the node may not leave etcd, or cannot. */
  readonly force: boolean;
  /** Whether this machine has a TPM; only who may do everything may look at its device. */
  readonly hasTpm: boolean;
  /** How to print. */
  readonly output: OutputForm;
}

/** Resets this node, after a question. */
export type ResetHandler = (options: ResetOptions, context: CliContext) => Promise<void>;

/**
 * Declares `reset`.
 *
 * @internal
 */
export function declareReset(program: Command, context: CliContext, handler: ResetHandler): void {
  withOutput(
    program.command("reset").description("take this node out of its cluster, and make it fresh again")
      .option("--yes", "do not ask")
      .option("--force", "even if etcd loses its quorum or its last member, or does not answer"),
  ).action(async (_options: unknown, command: Command) => {
    const hasTpm = await exists(context.paths.tpmDevice);
    await dropPermissions("reset", context.permissions);
    await handler(
      { yes: isSet(command, "yes"), force: isSet(command, "force"), hasTpm, output: outputForm(command) },
      context,
    );
  });
}
