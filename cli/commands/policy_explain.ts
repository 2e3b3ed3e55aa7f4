/**
 * `bootstrapper policy explain`: the verdict on evidence, check by check.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { explainOptions, withExplainOptions } from "../explain_options.ts";
import { firstArgument, optionalText, present } from "../options.ts";
import type { PolicyExplainOptions } from "../programs/policy.ts";

/** Explains a verdict. */
export const policyExplain: CliCommand<PolicyExplainOptions> = {
  name: "policy explain",
  group: "For operators:",
  description: "show the verdict on evidence, check by check",
  examples: ["bootstrapper policy explain node-2.json --policy policy.yaml \\\n  --reference node-1.json"],
  keeps: ["env", "read"],
  declare(command) {
    withExplainOptions(command.argument("<file>", "evidence, made by `bootstrapper evidence --out`"))
      .option("--reference <file>", "evidence of a machine that is known to be good: where do the events differ?");
  },
  read: (parsed) => ({
    ...explainOptions(firstArgument(parsed), parsed),
    ...present("referenceFile", optionalText(parsed, "reference")),
  }),
  alsoKeeps: ({ isOnline }) => isOnline ? ["net"] : [],
  async action(options, context) {
    await (await import("../programs/policy.ts")).policyExplain(options, context);
  },
};
