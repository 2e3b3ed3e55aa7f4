/**
 * The options that `policy explain` and `verify` share.
 *
 * @module
 */
import { present } from "../platform/present.ts";
import type { Command } from "commander";
import type { ParsedOptions } from "./options.ts";
import { isSet, optionalText, outputForm, requiredText } from "./options.ts";
import type { PolicyExplainOptions } from "./programs/policy.ts";

/**
 * Adds `--policy`, `--config` and `--online`.
 *
 * @internal
 */
export function withExplainOptions(command: Command): Command {
  return command.requiredOption("--policy <file>", "the policy to verify against")
    .option("--config <file>", "the node's configuration, to check PCR 12 and PCR 15")
    .option("--online", "fetch missing collateral from the policy's cache");
}

/** Reads the options that `withExplainOptions` adds. */
export function explainOptions(evidenceFile: string, parsed: ParsedOptions): PolicyExplainOptions {
  return {
    evidenceFile,
    policyFile: requiredText(parsed, "policy"),
    ...present("configurationFile", optionalText(parsed, "config")),
    isOnline: isSet(parsed, "online"),
    output: outputForm(parsed),
  };
}
