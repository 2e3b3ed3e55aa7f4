/**
 * `bootstrapper config check`: finds the mistakes in configurations, cluster documents and policies.
 *
 * @module
 */
import { Option } from "commander";
import type { MachineFacts } from "../../node/configuration_defaults.ts";
import type { DocumentKind } from "../../platform/document_kinds.ts";
import { DOCUMENT_KINDS } from "../../platform/document_kinds.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm } from "../options.ts";
import type { ConfigCheckOptions } from "../programs/config_check.ts";

/** Checks files. */
export const configCheck: CliCommand<ConfigCheckOptions, MachineFacts | undefined> = {
  name: "config check",
  group: "For operators:",
  description: "find the mistakes in configurations, cluster documents and policies",
  notes: "Each file's kind is recognised; - is standard input. Files that are given\n" +
    "together are compared with each other. With problems the exit code is 1.",
  examples: [
    "bootstrapper config check node.yaml cluster.yaml policy.yaml",
    "bootstrapper config check --kind cluster cluster.yaml --output json",
  ],
  keeps: ["env", "read"],
  declare(command) {
    command.argument("<files...>")
      .addOption(new Option("--kind <kind>", "what all files are meant to be").choices(DOCUMENT_KINDS))
      .option("--no-kubeadm", "do not run `kubeadm config validate`, even if it is installed")
      .option("--preflight", "as root on a fresh node: check this machine too");
  },
  read: (parsed) => ({
    files: parsed.args,
    ...present("kind", kindOf(optionalText(parsed, "kind"))),
    withKubeadm: parsed.getOptionValue("kubeadm") !== false,
    withPreflight: isSet(parsed, "preflight"),
    output: outputForm(parsed),
  }),
  alsoKeeps: ({ withKubeadm, withPreflight }) =>
    withPreflight ? ["net", "run", "sys", "write"] : withKubeadm ? ["run", "write"] : [],
  async open({ withPreflight }, context) {
    return withPreflight ? await (await import("../machine.ts")).machineFacts(context) : undefined;
  },
  async action(options, context, machine) {
    await (await import("../programs/config_check.ts")).configCheck(options, context, machine);
  },
};

function kindOf(text: string | undefined): DocumentKind | undefined {
  return DOCUMENT_KINDS.find((kind) => kind === text);
}
