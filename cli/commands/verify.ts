/**
 * `bootstrapper verify`: verifies an evidence file or a fresh node as the services do, and exits with the verdict.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand, ParsedCommand } from "../command.ts";
import { explainOptions, withExplainOptions } from "../explain_options.ts";
import { freshNodeOptions, withFreshNode } from "../fresh_node_options.ts";
import { optionalText, outputForm, requiredText } from "../options.ts";
import type { PolicyExplainOptions, VerifyNodeOptions } from "../programs/policy.ts";

/** Verifies evidence. Throws the error with which a service would refuse it. */
export const verify: CliCommand<PolicyExplainOptions | VerifyNodeOptions> = {
  name: "verify",
  group: "For operators:",
  description: "verify an evidence file or a fresh node against a policy",
  examples: [
    "bootstrapper verify node-1.json --policy policy.yaml",
    "bootstrapper verify --node 10.0.0.11 --name demo --key operator.key \\\n  --policy policy.yaml",
  ],
  keeps: ["env", "read"],
  declare(command) {
    withFreshNode(withExplainOptions(command.argument("[file]", "evidence file from `bootstrapper evidence --out`")));
  },
  read: verifyOptions,
  alsoKeeps: (options) => "freshNode" in options || options.isOnline ? ["net"] : [],
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    await (await import("../programs/policy.ts")).verify(options, context);
  },
};

function verifyOptions(parsed: ParsedCommand): PolicyExplainOptions | VerifyNodeOptions {
  const freshNode = freshNodeOptions(parsed);
  const [evidenceFile] = parsed.args;
  if (freshNode === undefined && evidenceFile !== undefined) return explainOptions(evidenceFile, parsed);
  const configured = optionalText(parsed, "config");
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
  return { freshNode, policyFile: requiredText(parsed, "policy"), output: outputForm(parsed) };
}
