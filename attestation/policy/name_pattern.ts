/**
 * Patterns of nodes' names in policies.
 *
 * @module
 */
const PATTERN = /^[a-z0-9*?.-]{1,63}$/;

/**
 * Says why a text is no pattern of a node's name, in which `*` stands for any characters and `?` for one, as a clause;
 * `undefined` if it is one.
 */
export function namePatternProblem(text: string): string | undefined {
  if (PATTERN.test(text)) return undefined;
  const lower = text.toLowerCase().replaceAll("_", "-");
  const advice = PATTERN.test(lower) ? `, such as ${lower}` : "";
  return `the name must be at most 63 of a-z, 0-9, - and dots, in which * stands for any characters and ? for one${advice}`;
}
