/**
 * Reads YAML documents that people write. The reader is strict, and its errors name the path of the wrong key.
 *
 * @module
 */
import { textIn, utf8 } from "./bytes.ts";
import type { DocumentKind } from "./document_kinds.ts";
import { foreignKind } from "./document_kinds.ts";
import { BootstrapError } from "./errors.ts";
import type { DocumentSchema, KeyHints, Problem } from "./schema_problems.ts";
import { checkValue, keyPath } from "./schema_problems.ts";
import type { YamlDocument } from "./yaml.ts";
import { readYamlDocument } from "./yaml.ts";

export { keyPath } from "./schema_problems.ts";
export type { DocumentSchema, KeyHints, Problem } from "./schema_problems.ts";

/** The size of the largest document that is read, in bytes; the largest sensible policy has a tenth of it. */
export const MAXIMUM_DOCUMENT_BYTES: number = 64 * 1024;

/** More problems than this are counted, and not shown. */
const SHOWN_PROBLEMS = 20;

/** What is known of a document besides its schema. */
export interface DocumentOptions<T> {
  /** What the document should be. A document of another kind is recognised, and named in the error. */
  readonly kind?: DocumentKind;
  /** What to write instead of a key that the document does not have. */
  readonly hints?: KeyHints;
  /** Further checks of a value that satisfies the schema. */
  readonly check?: (value: T) => readonly Problem[];
}

/**
 * Reads a YAML document, and checks it against a valibot schema. Objects in the schema should be strict, so that a
 * mistyped key is an error. The error names all problems, with their lines.
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
export function readDocument<T>(
  text: string,
  schema: DocumentSchema<T>,
  what: string,
  { kind, hints, check }: DocumentOptions<T> = {},
): T {
  const document = parseYaml(text, what, kind);
  const checked = checkValue(document.value, schema, hints);
  if (checked.problem === undefined) {
    const problems = check?.(checked.value) ?? [];
    if (problems.length === 0) return checked.value;
    throw refused(what, problems, document);
  }
  const foreign = kind && foreignKind(kind, text, document.value);
  if (foreign !== undefined) throw foreignDocument(what, foreign);
  throw refused(what, checked.problems, document);
}

/**
 * Decodes the bytes of a document.
 *
 * @param what The document's name for errors, as for {@linkcode readDocument}.
 * @throws {BootstrapError} `usage/document` if they are not a text.
 */
export function documentText(bytes: Uint8Array, what: string): string {
  const text = textIn(bytes);
  if (text === undefined || text.includes("\0")) throw foreignDocument(what, "it is not a text in UTF-8");
  return text;
}

function refused(what: string, problems: readonly Problem[], { lineOf }: YamlDocument): BootstrapError {
  const lines = problems.slice(0, SHOWN_PROBLEMS).map(({ path, text }) => {
    const line = lineOf(path);
    return line === undefined ? text : `line ${line}: ${text}`;
  });
  const key = keyPath(problems[0]?.path ?? []);
  const more = problems.length > SHOWN_PROBLEMS ? [`and ${problems.length - SHOWN_PROBLEMS} more`] : [];
  return new BootstrapError("usage/document", `Cannot use ${what}: ${[...lines, ...more].join("; ")}`, {
    details: { document: what, key },
    ...(key === "" ? { next: `Correct ${what}, or give the file that was meant` } : {}),
  });
}

function foreignDocument(what: string, reason: string): BootstrapError {
  return new BootstrapError("usage/document", `Cannot use ${what}: ${reason}`, {
    details: { document: what, key: "" },
    next: "Give the file that is expected",
  });
}

function parseYaml(text: string, what: string, kind: DocumentKind | undefined): YamlDocument {
  if (text.length > MAXIMUM_DOCUMENT_BYTES || utf8(text).length > MAXIMUM_DOCUMENT_BYTES) {
    throw unreadable(what, `it is larger than ${MAXIMUM_DOCUMENT_BYTES} bytes`);
  }
  try {
    return readYamlDocument(text);
  } catch (cause) {
    const foreign = kind && foreignKind(kind, text, undefined);
    if (foreign !== undefined) throw foreignDocument(what, foreign);
    const variable = text.split("\n").findIndex((line) => /\{\{.*\}\}/.test(line));
    if (variable >= 0) throw unreadable(what, `a variable was not filled in, at line ${variable + 1}`, cause);
    throw unreadable(what, yamlProblem(cause), cause);
  }
}

/** Says in our words what the parser's most frequent errors mean. */
function yamlProblem(cause: unknown): string {
  // The reader is recursive: a document of only brackets makes it throw a RangeError.
  const [message = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  if (cause instanceof RangeError) return "it is nested too deeply";
  const place = / at line \d+, column \d+$/.exec(message)?.[0] ?? "";
  if (message.includes("multiple documents")) return `it has several documents: leave out the line "---"${place}`;
  if (/tabs are not allowed|tab characters/i.test(message)) return `it has a tab: indent with spaces${place}`;
  return message;
}

function unreadable(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("usage/document", `Cannot read ${what} as YAML: ${reason}`, {
    details: { document: what, key: "" },
    next: `Correct the YAML of ${what}`,
    cause,
  });
}
