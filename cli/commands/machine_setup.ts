/**
 * `bootstrapper machine setup`: says what this machine lacks before `bootstrapper run` accepts it, and mends it.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm } from "../options.ts";
import type { MachineSetupOptions, MachineSetupResult } from "../programs/machine_setup.ts";

/** Says what this machine lacks, and mends it. */
export const machineSetup: CliCommand<MachineSetupOptions, MachineSetupResult> = {
  name: "machine setup",
  group: "On a node:",
  description: "say what this machine lacks, and mend it",
  notes: "Without --apply and --undo it changes nothing. The exit code is 1 if something is\n" +
    "missing. Packages come from the sources that the machine has.",
  examples: [
    "bootstrapper machine setup",
    "bootstrapper machine setup --apply --add-repositories",
    "bootstrapper machine setup --undo",
  ],
  keeps: [],
  declare(command) {
    command.option("--apply", "mend what can be mended; each change is recorded")
      .option("--add-repositories", "with --apply: add the package sources of Kubernetes and Docker")
      .option("--kubernetes <minor>", "with --add-repositories: such as v1.36")
      .option("--undo", "take back what --apply has changed, and nothing else");
  },
  read(parsed, context) {
    const [apply, undo, addsRepositories] = ["apply", "undo", "addRepositories"].map((name) => isSet(parsed, name));
    const kubernetesMinor = optionalText(parsed, "kubernetes");
    if (apply && undo) {
      throw new BootstrapError("usage/conflicting-option", "Cannot use --apply with --undo: remove one of them");
    }
    if (addsRepositories && !apply) {
      throw new BootstrapError("usage/invalid-argument", "Cannot use --add-repositories alone: add --apply");
    }
    if (kubernetesMinor !== undefined && !addsRepositories) {
      throw new BootstrapError("usage/invalid-argument", "Cannot use --kubernetes alone: add --add-repositories");
    }
    if (kubernetesMinor !== undefined && !/^v1\.\d{1,3}$/.test(kubernetesMinor)) {
      throw new BootstrapError(
        "usage/invalid-argument",
        `Cannot read --kubernetes: it must be a minor version, as in "v1.36"; current value is "${kubernetesMinor}"`,
      );
    }
    const mode = apply ? "apply" : undo ? "undo" : "look";
    if (mode !== "look" && !context.isRoot) {
      throw new BootstrapError(
        "precondition/root",
        `\`bootstrapper machine setup --${mode}\` needs root on this machine`,
      );
    }
    return {
      mode,
      addsRepositories: addsRepositories === true,
      ...present("kubernetesMinor", kubernetesMinor),
      output: outputForm(parsed),
    };
  },
  // Deno needs all permissions to read what the kernel says.
  async open({ mode, addsRepositories, kubernetesMinor }, { paths: { root }, commands, printError, program }) {
    const { applySetup, undoSetup } = await import("../../node/machine_setup_changes.ts");
    const { findMissing } = await import("../../node/machine_setup.ts");
    const tools = { root, commands, tell: (line: string) => printError(`${line}\n`) };
    if (mode === "undo") return { findings: [], undone: await undoSetup(tools) };
    const [own = "bootstrapper"] = program.argv;
    const facts = { root, commands, program: own, addsRepositories, ...present("kubernetesMinor", kubernetesMinor) };
    const find = () => findMissing(facts);
    return { findings: mode === "apply" ? await applySetup(tools, find) : await find() };
  },
  async action(options, context, result) {
    (await import("../programs/machine_setup.ts")).machineSetup(options, context, result);
  },
};
