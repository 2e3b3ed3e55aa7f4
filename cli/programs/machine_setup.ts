/**
 * `bootstrapper machine setup`: prints what a machine lacks, and what was done about it.
 *
 * @module
 */
import type { SetupFinding } from "../../node/machine_setup_finding.ts";
import { shellLines } from "../../node/machine_setup_finding.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printable, printResult } from "../output.ts";

/** The options of `machine setup`. */
export interface MachineSetupOptions {
  readonly output: OutputForm;
  /** Whether to mend what is missing, to take back what was mended, or only to look. */
  readonly mode: "look" | "apply" | "undo";
  readonly addsRepositories: boolean;
  /** The minor version of Kubernetes whose repository is added, such as `v1.36`. */
  readonly kubernetesMinor?: string;
}

/** What was found on the machine, and done with it. */
export interface MachineSetupResult {
  readonly findings: readonly SetupFinding[];
  /** How many changes were taken back, with `--undo`. */
  readonly undone?: number;
}

/**
 * Prints each finding: what, why, and the commands.
 *
 * @throws {BootstrapError} `precondition/machine` if there are findings.
 */
export function machineSetup(
  { output, mode }: MachineSetupOptions,
  context: Pick<CliContext, "print" | "printJson">,
  { findings, undone }: MachineSetupResult,
): void {
  if (mode === "undo") {
    const text = undone === 0 ? "Nothing was changed by this program." : `${undone} changes were taken back.`;
    return printResult(context, output, { undone }, text);
  }
  const shown = findings.map(({ check, what, why, ...rest }) => ({ check, what, why, commands: shellLines(rest) }));
  const text = shown.map(({ what, why, commands }) =>
    `${printable(what)}: ${why}.\n${commands.map((line) => `    ${printable(line)}\n`).join("")}`
  ).join("\n");
  printResult(context, output, { findings: shown, missing: shown.length }, text || "Nothing is missing.");
  const count = findings.length;
  if (count === 0) return;
  const mendable = findings.filter(({ actions }) => actions.length > 0).length;
  throw new BootstrapError("precondition/machine", `This machine lacks ${count} thing${count === 1 ? "" : "s"}`, {
    ...(mode === "look" && mendable > 0
      ? {}
      : { next: "Do what is printed, and run `bootstrapper machine setup` again" }),
  });
}
