/**
 * Texts in documents, each checked by the one reader of its kind.
 *
 * @module
 */
import type { GenericSchema, StringIssue } from "valibot";
import { pipe, rawCheck, string } from "valibot";

/**
 * A schema for a text in which a check finds no problem.
 *
 * @param problemOf Says what is wrong with a text, as a clause; `undefined` if nothing is.
 * @param otherType What to say of a value that is no text. Default: the expected and the seen type.
 */
export function checkedText(
  problemOf: (text: string) => string | undefined,
  otherType?: (issue: StringIssue) => string,
): GenericSchema<string> {
  return pipe(
    otherType === undefined ? string() : string(otherType),
    rawCheck(({ dataset, addIssue }) => {
      const problem = dataset.typed ? problemOf(dataset.value) : undefined;
      if (problem !== undefined) addIssue({ message: problem });
    }),
  );
}

/** The check by a reader that returns what it read, or a clause that says why it cannot. */
export function problemIn(read: (text: string) => object | string): (text: string) => string | undefined {
  return (text) => {
    const result = read(text);
    return typeof result === "string" ? result : undefined;
  };
}
