/**
 * `bootstrapper run`: makes this machine a member of its cluster.
 *
 * @module
 */
import type { Command } from "commander";
import type { NodeConfiguration } from "../../node/configuration.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { Machine } from "../machine.ts";
import { openMachine } from "../machine.ts";
import { optionalText, outputForm, present, withConfig, withOutput } from "../options.ts";
import { dropPermissions } from "../permissions.ts";

/** What `run` runs on: the machine is open, and the permissions that are not needed are gone. */
export interface RunRequest {
  /** The file that the configuration is from. */
  readonly source: string;
  /** The node's configuration. */
  readonly configuration: NodeConfiguration;
  /** This machine. */
  readonly machine: Machine;
  /** How to print. */
  readonly output: OutputForm;
}

/** Bootstraps this node; ends when it is a member. */
export type RunHandler = (request: RunRequest, context: CliContext) => Promise<void>;

/**
 * Declares `run`.
 *
 * @internal
 */
export function declareRun(program: Command, context: CliContext, handler: RunHandler): void {
  withOutput(
    withConfig(
      program.command("run").description("make this machine a member of its cluster, and exit"),
    ),
  ).action(async (_options: unknown, command: Command) => {
    const machine = await openMachine(context);
    await dropPermissions("run", context.permissions);
    const loaded = await loadNodeConfiguration({
      ...present("file", optionalText(command, "config")),
      ...present("credentialsFolder", context.environment.credentialsFolder),
      paths: context.paths,
    });
    await handler({ ...loaded, machine, output: outputForm(command) }, context);
  });
}
