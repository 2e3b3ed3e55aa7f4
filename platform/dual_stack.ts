/**
 * Texts of one value, or of two of different IP families with a comma between them, as kubeadm and the kubelet write
 * dual stack.
 *
 * @module
 */
import type { AddressFamily } from "./ip_address.ts";
import { shown } from "./label.ts";

/** The parts of such a text: one, or two. */
export function familyParts(text: string): readonly string[] {
  return text.split(",");
}

/**
 * Says why a text is no such text, as a clause.
 *
 * @param problemOf Says why a part is none.
 * @param familyOf The family of a part that has no problem.
 */
export function familyPartsProblem(
  text: string,
  problemOf: (part: string) => string | undefined,
  familyOf: (part: string) => AddressFamily,
): string | undefined {
  const parts = familyParts(text);
  if (parts.length > 2) return `at most two are allowed, one of each family: current value is ${shown(text)}`;
  for (const part of parts) {
    if (parts.length > 1 && part !== part.trim()) {
      return `leave out the space at the comma: current value is ${shown(text)}`;
    }
    const problem = problemOf(part);
    if (problem !== undefined) return problem;
  }
  const [first, second] = parts.map(familyOf);
  return first === second ? `both are IPv${first}: write one, or one of each family` : undefined;
}
