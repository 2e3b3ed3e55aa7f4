/**
 * `bootstrapper machine setup`: prints what a machine lacks.
 *
 * @module
 */
import type { SetupFinding } from "../../node/machine_setup_finding.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printable, printResult } from "../output.ts";

/** The options of `machine setup`. */
export interface MachineSetupOptions {
  readonly output: OutputForm;
}

/**
 * Prints each finding: what, why, and the commands.
 *
 * @throws {BootstrapError} `precondition/machine` if there are findings.
 */
export function machineSetup(
  { output }: MachineSetupOptions,
  context: Pick<CliContext, "print" | "printJson">,
  findings: readonly SetupFinding[],
): void {
  const text = findings.map(({ what, why, commands }) =>
    `${printable(what)}: ${why}.\n${commands.map((line) => `    ${line}\n`).join("")}`
  ).join("\n");
  printResult(context, output, { findings, missing: findings.length }, text || "Nothing is missing.");
  const count = findings.length;
  if (count === 0) return;
  throw new BootstrapError("precondition/machine", `This machine lacks ${count} thing${count === 1 ? "" : "s"}`);
}
