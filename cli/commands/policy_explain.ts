/**
 * `bootstrapper policy explain`: explains the verdict on evidence, check by check.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { explainOptions, withExplainOptions } from "../explain_options.ts";
import { firstArgument, optionalText } from "../options.ts";
import type { PolicyExplainOptions } from "../programs/policy.ts";

/** Explains a verdict. */
export const policyExplain: CliCommand<PolicyExplainOptions> = {
  name: "policy explain",
  group: "For operators:",
  description: "explain the verdict on an evidence file, check by check",
  examples: ["bootstrapper policy explain node-2.json --policy policy.yaml \\\n  --reference node-1.json"],
  keeps: ["env", "read"],
  declare(command) {
    withExplainOptions(command.argument("<file>", "evidence file from `bootstrapper evidence --out`"))
      .option("--reference <file>", "evidence of a known-good machine, to compare event logs");
  },
  read: (parsed) => ({
    ...explainOptions(firstArgument(parsed), parsed),
    ...present("referenceFile", optionalText(parsed, "reference")),
  }),
  alsoKeeps: ({ isOnline }) => isOnline ? ["net"] : [],
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    return await (await import("../programs/policy.ts")).policyExplain(options, context);
  },
};
