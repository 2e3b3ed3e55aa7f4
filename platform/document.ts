/**
 * Reads YAML documents that people write. The reader is strict, and its errors name the path of the wrong key.
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

/** The size of the largest document that is read, in bytes; the largest sensible policy has a tenth of it. */
export const MAXIMUM_DOCUMENT_BYTES: number = 64 * 1024;

/**
 * Reads a YAML document, and checks it against a valibot schema. Objects in the schema should be strict, so that a
 * mistyped key is an error.
 *
 * The text must be a single document of the YAML 1.2 core schema, of at most {@linkcode MAXIMUM_DOCUMENT_BYTES} bytes.
 * Aliases, tags, duplicate keys, and JavaScript's own names as keys are refused.
 *
 * @param text The document.
 * @param schema The schema that the document must satisfy.
 * @param what The document's name for errors: a path, or "the policy".
 * @throws {BootstrapError} `usage/document`, with `document`, and `key` (the path of the first wrong key) in its
 *   details.
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
    // The reader is recursive: a document of only brackets makes it throw a RangeError.
    throw unreadable(what, cause instanceof Error ? cause.message.split("\n")[0] ?? "" : String(cause), cause);
  }
}

function unreadable(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("usage/document", `Cannot read ${what} as YAML: ${reason}`, {
    details: { document: what, key: "" },
    cause,
  });
}
