/**
 * `bootstrapper verify`: the services' verdict on an evidence file or on a fresh node, as an exit code.
 *
 * @module
 */
import type { Command } from "commander";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { FreshNodeOptions } from "../operator_options.ts";
import { freshNodeOptions, withFreshNode } from "../operator_options.ts";
import { optionalText, outputForm, present, requiredText } from "../options.ts";
import { dropPermissions, ONLINE_PERMISSIONS } from "../permissions.ts";
import type { PolicyExplainOptions } from "./policy_make.ts";
import { explainOptions, withExplainOptions } from "./policy_make.ts";

/** The options of `verify` with a fresh node. */
export interface VerifyNodeOptions {
  /** The node. */
  readonly freshNode: FreshNodeOptions;
  /** The policy. */
  readonly policyFile: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Verifies evidence; it throws what a service would refuse it with. */
export type VerifyHandler = (options: PolicyExplainOptions | VerifyNodeOptions, context: CliContext) => Promise<void>;

/**
 * Declares `verify`.
 *
 * @internal
 */
export function declareVerify(program: Command, context: CliContext, handler: VerifyHandler): void {
  withFreshNode(
    withExplainOptions(
      program.command("verify").argument("[file]", "evidence, made by `bootstrapper evidence --out`")
        .description("verify an evidence file or a fresh node"),
    ),
  ).action(async (evidenceFile: string | undefined, _options: unknown, command: Command) => {
    const freshNode = freshNodeOptions(command);
    const options = verifyOptions(evidenceFile, freshNode, command);
    const isOnline = "freshNode" in options || options.isOnline;
    await dropPermissions("verify", context.permissions, isOnline ? ONLINE_PERMISSIONS : []);
    await handler(options, context);
  });
}

function verifyOptions(
  evidenceFile: string | undefined,
  freshNode: FreshNodeOptions | undefined,
  command: Command,
): PolicyExplainOptions | VerifyNodeOptions {
  if (freshNode === undefined && evidenceFile !== undefined) return explainOptions(evidenceFile, command);
  const configured = optionalText(command, "config");
  if (freshNode === undefined || evidenceFile !== undefined || configured !== undefined) {
    throw new BootstrapError(
      "usage/evidence",
      "Exactly one thing is verified: an evidence file, or the node of --node",
      {
        next: "Name a file; or a node with --node, whose configuration is told by --name and the operators' keys",
        details: { ...present("file", evidenceFile), ...present("config", configured) },
      },
    );
  }
  return { freshNode, policyFile: requiredText(command, "policy"), output: outputForm(command) };
}
