/**
 * Reads YAML documents that people write. The reader is strict, and its errors name the path of the wrong key.
 *
 * @module
 */
import { textIn, utf8 } from "./bytes.ts";
import type { DocumentKind } from "./document_kinds.ts";
import { foreignKind } from "./document_kinds.ts";
import type { BootstrapErrorOptions, ErrorCode } from "./errors.ts";
import { BootstrapError } from "./errors.ts";
import { present } from "./present.ts";
import type { DocumentSchema, KeyHints, Problem } from "./schema_problems.ts";
import { checkValue, keyPath } from "./schema_problems.ts";
import type { YamlDocument } from "./yaml.ts";
import { oddCharacter, unseenIn } from "./odd_text.ts";
import { readYamlDocument, YamlError } from "./yaml.ts";

export { keyPath } from "./schema_problems.ts";
export type { DocumentSchema, KeyHints, Problem } from "./schema_problems.ts";

/** The size of the largest document that is read, in bytes; the largest sensible policy has a tenth of it. */
export const MAXIMUM_DOCUMENT_BYTES: number = 64 * 1024;

/** More problems than this are counted, and not shown. */
const SHOWN_PROBLEMS = 20;

/** A problem of a document, and where it is. */
export interface PlacedProblem extends Problem {
  /** The line of the key, or of the nearest one above it, from 1; absent if it is that of the whole document. */
  readonly line?: number;
}

/** The error of a document, with all its problems. */
export class DocumentError extends BootstrapError {
  /** All problems, in the order in which they were found: at least one. */
  readonly problems: readonly PlacedProblem[];

  /** The message should name the problems. */
  constructor(code: ErrorCode, message: string, problems: readonly PlacedProblem[], options: BootstrapErrorOptions) {
    super(code, message, options);
    this.problems = problems;
  }
}

/** Says at which lines of a text problems are. The text must be one that {@linkcode readDocument} took. */
export function placedProblems(text: string, problems: readonly Problem[]): readonly PlacedProblem[] {
  return placed(problems, readYamlDocument(text));
}

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
  if (text !== undefined && !text.includes("\0")) return text;
  const isUtf16 = UTF_16_MARKS.some((mark) => mark.every((byte, index) => bytes[index] === byte)) ||
    (bytes.length >= 4 && bytes[0] !== 0 && bytes[1] === 0 && bytes[2] !== 0 && bytes[3] === 0);
  throw foreignDocument(what, isUtf16 ? "it is a text in UTF-16: save it in UTF-8" : "it is not a text in UTF-8");
}

/** The byte order marks of UTF-16, little and big end first. */
const UTF_16_MARKS: readonly (readonly number[])[] = [[0xff, 0xfe], [0xfe, 0xff]];

function placed(problems: readonly Problem[], document: YamlDocument): readonly PlacedProblem[] {
  return problems.map(({ path, text }) => {
    const unseen = unseenAt(path, text, document);
    return {
      path,
      text: unseen === undefined ? text : `${text}; ${unseen}`,
      ...present("line", document.lineOf(path)),
    };
  });
}

function unseenAt(path: Problem["path"], text: string, { value, sourceOf }: YamlDocument): string | undefined {
  const own = path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    value,
  );
  const key = path.at(-1);
  return unseenIn(text, {
    value: own,
    ...present("source", sourceOf(path)),
    ...present("key", typeof key === "string" ? key : undefined),
  });
}

function refused(what: string, problems: readonly Problem[], document: YamlDocument): BootstrapError {
  return documentError(what, placed(problems, document));
}

/** Makes the error of a document that has these problems: at least one. */
export function documentError(what: string, problems: readonly PlacedProblem[]): DocumentError {
  const lines = problems.slice(0, SHOWN_PROBLEMS).map(({ line, text }) =>
    line === undefined ? text : `line ${line}: ${text}`
  );
  const key = keyPath(problems[0]?.path ?? []);
  const more = problems.length > SHOWN_PROBLEMS ? [`and ${problems.length - SHOWN_PROBLEMS} more`] : [];
  return new DocumentError("usage/document", `Cannot use ${what}: ${[...lines, ...more].join("; ")}`, problems, {
    details: { document: what, key },
    ...(key === "" ? { next: `Correct ${what}, or give the file that was meant` } : {}),
  });
}

function foreignDocument(what: string, reason: string): BootstrapError {
  return new DocumentError("usage/document", `Cannot use ${what}: ${reason}`, [{ path: [], text: reason }], {
    details: { document: what, key: "" },
    next: "Give the file that is expected",
  });
}

function parseYaml(text: string, what: string, kind: DocumentKind | undefined): YamlDocument {
  if (text.length > MAXIMUM_DOCUMENT_BYTES || utf8(text).length > MAXIMUM_DOCUMENT_BYTES) {
    throw unreadable(what, new YamlError(`it is larger than ${MAXIMUM_DOCUMENT_BYTES} bytes`));
  }
  try {
    return readYamlDocument(text);
  } catch (cause) {
    const foreign = kind && foreignKind(kind, text, undefined);
    if (foreign !== undefined) throw foreignDocument(what, foreign);
    throw unreadable(what, yamlProblem(text, cause), cause);
  }
}

/** Says in our words what the parser's most frequent errors mean. */
function yamlProblem(text: string, cause: unknown): YamlError {
  // The reader is recursive: a document of only brackets makes it throw a RangeError.
  if (cause instanceof RangeError) return new YamlError("it is nested too deeply");
  const template = lineWith(text, /\{\{.*\}\}|^\s*\{%.*%\}/);
  if (template !== undefined) return new YamlError("a variable was not filled in", template);
  const conflict = lineWith(text, /^(?:<{7}|={7}|>{7})(?:\s|$)/);
  if (conflict !== undefined) return new YamlError("it has the marks of a merge with conflicts", conflict);
  if (!(cause instanceof YamlError)) return new YamlError(cause instanceof Error ? cause.message : String(cause));
  const { reason, line, column } = cause;
  const own = text.split("\n")[(line ?? 0) - 1] ?? "";
  const odd = oddCharacter(own.replace(/^\ufeff/, "").replace(/(?:^|\s)#.*$/, ""));
  return new YamlError(`${parserProblem(reason, own, text)}${odd === undefined ? "" : `; ${odd}`}`, line, column);
}

function lineWith(text: string, pattern: RegExp): number | undefined {
  const index = text.split("\n").findIndex((line) => pattern.test(line));
  return index < 0 ? undefined : index + 1;
}

/** @param line The line at which the parser stopped. */
function parserProblem(message: string, line: string, text: string): string {
  if (/^[^\n]*\r[^\n]/.test(text) && !text.includes("\n")) return "its lines end with CR alone: save it with LF";
  if (message.includes("multiple documents")) return 'it has several documents: leave out the line "---"';
  if (/tabs are not allowed|tab characters/i.test(message) || /^\s*\t/.test(line)) {
    return "it has a tab: indent with spaces";
  }
  if (/^Nested mappings are not allowed in compact mappings/.test(message)) {
    return /:\s.*:(?:\s|$)/.test(line)
      ? "a text with a colon and a space in it needs quotes"
      : "a line is indented more than the one above it, which has a value already";
  }
  if (/^All mapping items must start at the same column/.test(message)) {
    return "a line is indented otherwise than the keys above it";
  }
  if (/^Invalid escape sequence/.test(message)) {
    return `${message}: write a text with backslashes in single quotes, or without quotes`;
  }
  return message;
}

function unreadable(what: string, { reason, message, line }: YamlError, cause?: unknown): BootstrapError {
  const problem = { path: [], text: reason, ...present("line", line) };
  return new DocumentError("usage/document", `Cannot read ${what} as YAML: ${message}`, [problem], {
    details: { document: what, key: "" },
    next: `Correct the YAML of ${what}`,
    cause,
  });
}
