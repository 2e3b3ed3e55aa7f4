import { BootstrapError } from "../platform/errors.ts";
import { labelProblem, shown } from "../platform/label.ts";

/**
 * Checks a cluster's name that was given as an argument, and returns it.
 *
 * @throws {BootstrapError} `usage/cluster-name`.
 */
export function clusterNameArgument(text: string): string {
  const problem = labelProblem(text);
  if (problem === undefined) return text;
  throw new BootstrapError("usage/cluster-name", `Cannot use ${shown(text)} as a cluster's name: ${problem}`);
}
