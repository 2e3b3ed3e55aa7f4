/**
 * Documents that people write in YAML: read strictly, and refused with the path of the key that is wrong.
 *
 * @module
 */
import { utf8 } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";
import type { DocumentSchema } from "./schema_problems.ts";
import { checkValue } from "./schema_problems.ts";
import { readYaml } from "./yaml.ts";

export { keyPath } from "./schema_problems.ts";
export type { DocumentSchema } from "./schema_problems.ts";

/** The largest document that is read, in bytes; the largest sensible policy is a tenth of it. */
export const MAXIMUM_DOCUMENT_BYTES: number = 64 * 1024;

/**
 * The value that a YAML document stands for, checked by a valibot schema. Objects in the schema should be strict, so
 * that a mistyped key is an error.
 *
 * YAML 1.2 core schema, one document, no aliases, no tags, no key twice, none of JavaScript's own names as keys, at most {@linkcode MAXIMUM_DOCUMENT_BYTES}.
 *
 * @param text The document.
 * @param schema What it must be.
 * @param what What the document is, for the error: a path, or "the policy".
 * @throws {BootstrapError} `usage/document`, with `document`, and `key` (the path of the first wrong key) in its details.
 */
export function readDocument<T>(text: string, schema: DocumentSchema<T>, what: string): T {
  const checked = checkValue(parseYaml(text, what), schema);
  if (checked.problem === undefined) return checked.value;
  const { problem, key } = checked;
  throw new BootstrapError("usage/document", `Cannot use ${what}: ${problem}`, { details: { document: what, key } });
}

function parseYaml(text: string, what: string): unknown {
  if (text.length > MAXIMUM_DOCUMENT_BYTES || utf8(text).length > MAXIMUM_DOCUMENT_BYTES) {
    throw unreadable(what, `it is larger than ${MAXIMUM_DOCUMENT_BYTES} bytes`);
  }
  try {
    return readYaml(text);
  } catch (cause) {
    // The reader is recursive: a document of nothing but brackets ends it with a RangeError.
    throw unreadable(what, cause instanceof Error ? cause.message.split("\n")[0] ?? "" : String(cause), cause);
  }
}

function unreadable(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("usage/document", `Cannot read ${what} as YAML: ${reason}`, {
    details: { document: what, key: "" },
    cause,
  });
}
