/**
 * `bootstrapper nodes`: shows which machines are in the cluster, and under which image they came in.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm, requiredText } from "../options.ts";
import type { NodesOptions, RegisterFilter } from "../programs/nodes.ts";

/** A digest, or its beginning, which must tell digests apart. */
const DIGEST = /^[0-9a-f]{8,128}$/;
const PCR = /^([0-9]|1[0-9]|2[0-3])=(.*)$/;

/** Lists the admitted nodes. */
export const nodes: CliCommand<NodesOptions> = {
  name: "nodes",
  group: "For operators:",
  description: "list the admitted nodes, and what their evidence showed",
  examples: [
    "bootstrapper nodes --kubeconfig demo.kubeconfig",
    "bootstrapper nodes --kubeconfig demo.kubeconfig --pcr 11=868b6d3af912",
  ],
  keeps: ["env", "net", "read"],
  declare(command) {
    command.requiredOption("--kubeconfig <file>", "the operator's kubeconfig")
      .option("--image <digest>", "only nodes with a register of this value")
      .option("--pcr <number=value>", "only nodes whose PCR has this value")
      .option("--all", "also machines that were removed");
  },
  read(parsed) {
    const image = optionalText(parsed, "image");
    const pcr = optionalText(parsed, "pcr");
    return {
      kubeconfigFile: requiredText(parsed, "kubeconfig"),
      registers: [
        ...(image === undefined ? [] : [{ value: digestOption(image, "--image") }]),
        ...(pcr === undefined ? [] : [pcrOption(pcr)]),
      ],
      all: isSet(parsed, "all"),
      output: outputForm(parsed),
    };
  },
  async action(options, context) {
    await (await import("../programs/nodes.ts")).nodes(options, context);
  },
};

function pcrOption(text: string): RegisterFilter {
  const [, number, value] = PCR.exec(text) ?? [];
  if (number === undefined || value === undefined) {
    throw wrong("--pcr", text, "is not NUMBER=VALUE with a number from 0 to 23");
  }
  return { ...present("name", `pcr${number}`), value: digestOption(value, "--pcr", text) };
}

function digestOption(value: string, option: string, text = value): string {
  const digest = value.toLowerCase();
  if (!DIGEST.test(digest)) throw wrong(option, text, "is not hexadecimal of at least 8 digits");
  return digest;
}

function wrong(option: string, text: string, problem: string): BootstrapError {
  return new BootstrapError("usage/register", `Cannot use ${option} ${JSON.stringify(text)} as it ${problem}`, {
    next: "Give a value, or its beginning, as `bootstrapper nodes --output json` or `bootstrapper evidence` shows it",
    details: { option, value: text },
  });
}
