/**
 * `bootstrapper verify`: the services' verdict on an evidence file, as an exit code.
 *
 * @module
 */
import type { Command } from "commander";
import type { CliContext } from "./context.ts";
import { dropPermissions } from "./permissions.ts";
import type { PolicyExplainOptions } from "./policy.ts";
import { explainOptions, withExplainOptions } from "./policy.ts";

/** Verifies evidence; it throws what a service would refuse it with. */
export type VerifyHandler = (options: PolicyExplainOptions, context: CliContext) => Promise<void>;

/**
 * Declares `verify`.
 *
 * @internal
 */
export function declareVerify(program: Command, context: CliContext, handler: VerifyHandler): void {
  withExplainOptions(
    program.command("verify").argument("<file>", "evidence, made by `bootstrapper evidence --out`")
      .description("verify an evidence file as the services would"),
  ).action(async (evidenceFile: string, _options: unknown, command: Command) => {
    await dropPermissions("verify", context.permissions);
    await handler(explainOptions(evidenceFile, command), context);
  });
}
