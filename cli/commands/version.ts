/**
 * `bootstrapper version`: prints the versions of the program, the protocol and Deno.
 *
 * @module
 */
import project from "../../deno.json" with { type: "json" };
import { fromUtf8 } from "../../platform/bytes.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import type { OutputForm } from "../context.ts";
import { optionalText, outputForm } from "../options.ts";
import { printResult } from "../output.ts";

/** The options of `version`. */
export interface VersionOptions {
  /** The commit that this binary was built from. `deno compile` embeds `--built-from` in the binary's arguments. */
  readonly commit?: string;
  readonly output: OutputForm;
}

/** Prints the version, the protocol label, Deno's version and, if known, the commit. */
export const version: CliCommand<VersionOptions> = {
  name: "version",
  group: "For operators:",
  description: "print the versions of the program, the protocol and Deno",
  examples: ["bootstrapper version"],
  keeps: [],
  read: (parsed) => ({ ...present("commit", optionalText(parsed, "builtFrom")), output: outputForm(parsed) }),
  async action({ commit, output }, context) {
    const { LABEL } = await import("../../protocol/transcript.ts");
    const result = {
      version: project.version,
      protocol: fromUtf8(LABEL, "label"),
      deno: Deno.version.deno,
      target: Deno.build.target,
      ...present("commit", commit),
    };
    const text = Object.entries(result).map(([name, value]) => `${name.padEnd(10)}${value}\n`).join("");
    printResult(context, output, result, text);
  },
};
