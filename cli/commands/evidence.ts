/**
 * `bootstrapper evidence`: prints this machine's evidence in a form from which a policy can be made.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import { Option } from "commander";
import { EK_TYPES } from "../../attestation/kinds/tpm/templates.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, outputForm, withConfig } from "../options.ts";
import type { EvidenceOptions, OpenedEvidence } from "../programs/evidence.ts";

/** Prints the content of this machine's evidence, or writes the evidence to a file. */
export const evidence: CliCommand<EvidenceOptions, OpenedEvidence> = {
  name: "evidence",
  group: "On a node:",
  description: "print the evidence of this node as a policy",
  examples: ["bootstrapper evidence > policy.yaml", "bootstrapper evidence --out node-1.json"],
  keeps: ["env", "read", "write"],
  declare(command) {
    withConfig(command)
      .addOption(
        new Option("--ek-type <type>", `use only the TPM, with this endorsement key: ${EK_TYPES.join(", ")}`).choices(
          EK_TYPES,
        ),
      )
      .option("--out <file>", "write evidence and event log to a file, for `policy` and `verify`");
  },
  read: (parsed) => ({
    ...present("config", optionalText(parsed, "config")),
    ...present("ekType", EK_TYPES.find((type) => type === optionalText(parsed, "ekType"))),
    ...present("outFile", optionalText(parsed, "out")),
    output: outputForm(parsed),
  }),
  async open(options, context) {
    return await (await import("../programs/evidence.ts")).openEvidence(options, context);
  },
  async action(options, context, opened) {
    await (await import("../programs/evidence.ts")).evidence(options, context, opened);
  },
};
