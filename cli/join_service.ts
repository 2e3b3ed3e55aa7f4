/**
 * `bootstrapper join-service`: issues tickets to nodes whose evidence satisfies the policy.
 *
 * @module
 */
import type { Command } from "commander";
import type { CliContext, OutputForm } from "./context.ts";
import { optionalText, outputForm, withOutput } from "./options.ts";
import { dropPermissions } from "./permissions.ts";

/** The options of `join-service`. */
export interface JoinServiceOptions {
  /** The folder with what the service runs on. */
  readonly folder: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Serves until it is stopped. */
export type JoinServiceHandler = (options: JoinServiceOptions, context: CliContext) => Promise<void>;

/** Declares `join-service`. */
export function declareJoinService(program: Command, context: CliContext, handler: JoinServiceHandler): void {
  const { credentialsFolder } = context.environment;
  withOutput(
    program.command("join-service").description("issue tickets to nodes that join (runs on control-plane nodes)")
      .option("--folder <folder>", "what it runs on (default: the unit's credentials, else the node's state folder)"),
  ).action(async (_options: unknown, command: Command) => {
    await dropPermissions("join-service", context.permissions);
    const folder = optionalText(command, "folder") ?? credentialsFolder ?? context.paths.joinService;
    await handler({ folder, output: outputForm(command) }, context);
  });
}
