/**
 * `bootstrapper join-service`: issues tickets to nodes whose evidence satisfies the policy.
 *
 * @module
 */
import { join } from "node:path";
import type { Command } from "commander";
import type { CliContext, OutputForm } from "../context.ts";
import { optionalText, outputForm, present, withOutput } from "../options.ts";
import { dropPermissions } from "../permissions.ts";

/** The options of `join-service`. */
export interface JoinServiceOptions {
  /** The folder with what the service runs on. */
  readonly folder: string;
  /** The file of its private key, where it is not in the folder: systemd hands it over as a credential. */
  readonly keyFile?: string;
  /** How to print. */
  readonly output: OutputForm;
}

const SERVICE_KEY_CREDENTIAL = "service.key";

/** Serves until it is stopped. */
export type JoinServiceHandler = (options: JoinServiceOptions, context: CliContext) => Promise<void>;

/**
 * Declares `join-service`.
 *
 * @internal
 */
export function declareJoinService(program: Command, context: CliContext, handler: JoinServiceHandler): void {
  withOutput(
    program.command("join-service").description("issue tickets to nodes that join (on control-plane nodes)")
      .option("--folder <folder>", "what it runs on (default: the join-service folder of the node's state)"),
  ).action(async (_options: unknown, command: Command) => {
    await dropPermissions("join-service", context.permissions);
    const { credentialsFolder } = context.environment;
    await handler({
      folder: optionalText(command, "folder") ?? context.paths.joinService,
      ...present(
        "keyFile",
        credentialsFolder === undefined ? undefined : join(credentialsFolder, SERVICE_KEY_CREDENTIAL),
      ),
      output: outputForm(command),
    }, context);
  });
}
