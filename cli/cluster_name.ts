import { BootstrapError } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";

/**
 * Checks a cluster's name that was given as an argument, and returns it.
 *
 * @throws {BootstrapError} `usage/cluster-name`.
 */
export function clusterNameArgument(text: string): string {
  if (isLabel(text)) return text;
  const seen = JSON.stringify(text.slice(0, 80));
  throw new BootstrapError("usage/cluster-name", `Cannot use ${seen} as a cluster's name must be an RFC 1123 label`);
}
