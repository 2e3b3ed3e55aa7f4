/**
 * Reads untrusted YAML: a single document with only values, in a time that is proportional to its length.
 *
 * @module
 */
import type { Document, Pair, ParseOptions, SchemaOptions, YAMLMap } from "yaml";
import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, parseDocument, visit } from "yaml";

/** Valibot silently drops these keys from records. */
const OVERLOOKED_KEYS: readonly string[] = ["__proto__", "prototype", "constructor"];

/** Why a text is no YAML that is read here, and where. The message has both. */
export class YamlError extends Error {
  /** The problem as a clause, without the place. */
  readonly reason: string;
  /** The line at which the problem was found, from 1; `undefined` for the whole text. */
  readonly line: number | undefined;
  /** The column, from 1. */
  readonly column: number | undefined;

  /** Line and column begin with 1. */
  constructor(reason: string, line?: number, column?: number, cause?: unknown) {
    super(`${reason}${placeText(line, column)}`, { cause });
    this.reason = reason;
    this.line = line;
    this.column = column;
  }
}

/** A place as the end of a sentence; empty without a line. */
export function placeText(line: number | undefined, column?: number): string {
  if (line === undefined) return "";
  return column === undefined ? `, at line ${line}` : ` at line ${line}, column ${column}`;
}

/** A document, and where its values are. */
export interface YamlDocument {
  readonly value: unknown;
  /**
   * The line of a key, or of a list's entry, from 1; of the nearest one above it where there is none; `undefined` for the
   * whole document.
   */
  lineOf(path: readonly (string | number)[]): number | undefined;
  /** The text of the scalar at a path as it is written, without quotes; `undefined` if there is none. */
  sourceOf(path: readonly (string | number)[]): string | undefined;
}

/**
 * Parses a single document of the YAML 1.2 core schema. Aliases, tags, duplicate keys, keys that are not scalars, and
 * JavaScript's own names as keys are refused.
 *
 * @throws {Error} Any error of the parser, mostly a {@linkcode YamlError}. The first line of its message describes the
 *   problem, and may quote the text.
 */
export function readYaml(text: string): unknown {
  return readYamlDocument(text).value;
}

/**
 * Parses as {@linkcode readYaml} does, and tells the lines of the values too.
 *
 * @throws {Error} The same as `readYaml()`.
 */
export function readYamlDocument(text: string): YamlDocument {
  const lineCounter = new LineCounter();
  return checkedDocument(parseDocument(text, { ...OPTIONS, lineCounter }), lineCounter);
}

/**
 * Parses a stream of documents of Kubernetes objects, each as {@linkcode readYaml} does. Plain values are read as kubectl
 * reads them where YAML 1.1 differs from 1.2: `0400` is octal, and `yes`, `no`, `on` and `off` are truth values.
 *
 * @returns The documents that have a value, each with the line of the text in which it begins.
 * @throws {Error} The same as `readYaml()`.
 */
export function readYamlObjects(text: string): readonly YamlDocumentOfStream[] {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter });
  // An empty text has an empty list with properties of its own.
  return Array.from(documents, (document) => {
    readAsKubectl(document);
    const { value } = checkedDocument(document, lineCounter);
    return { value, line: lineCounter.linePos(document.contents?.range?.[0] ?? 0).line };
  }).filter(({ value }) => value !== null);
}

/** One document of several. */
export interface YamlDocumentOfStream {
  readonly value: unknown;
  /** The line in which it begins, from 1. */
  readonly line: number;
}

/**
 * The library's own search for duplicate keys compares each key with all earlier ones, and its error positions need a
 * pass over the text for each error. For 64 KiB either takes seconds, so neither is used.
 */
const OPTIONS = {
  schema: "core",
  version: "1.2",
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: "error",
} as const satisfies ParseOptions & SchemaOptions & Record<string, unknown>;

const OCTAL = /^0[0-7]+$/;
/** go-yaml's `resolve.go`, which kubectl reads with. */
const TRUTH: Readonly<Record<string, boolean>> = { yes: true, on: true, no: false, off: false };

function readAsKubectl(document: Document.Parsed): void {
  visit(document, {
    Scalar(key, scalar) {
      const { source, type } = scalar;
      if (key === "key" || type !== "PLAIN" || source === undefined || scalar.tag !== undefined) return;
      if (OCTAL.test(source)) scalar.value = parseInt(source, 8);
      else if (/^(?:[a-z]+|[A-Z][a-z]*|[A-Z]+)$/.test(source)) {
        const word = source.toLowerCase();
        if (Object.hasOwn(TRUTH, word)) scalar.value = TRUTH[word];
      }
    },
  });
}

function checkedDocument(document: Document.Parsed, lineCounter: LineCounter): YamlDocument {
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new YamlError(problem.message, line, col, problem);
  }
  checkKeys(document, (offset) => lineCounter.linePos(offset).line);
  const pairOf = pairFinder();
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    lineOf(path) {
      const { offset } = walk(document.contents, path, pairOf);
      return offset === undefined ? undefined : lineCounter.linePos(offset).line;
    },
    sourceOf(path) {
      const { node } = walk(document.contents, path, pairOf);
      return isScalar(node) ? node.source : undefined;
    },
  };
}

type FindPair = (map: YAMLMap, name: string) => Pair | undefined;

/** Finds a mapping's pairs by name. Each mapping is read once: thousands of wrong keys are looked up one by one. */
function pairFinder(): FindPair {
  const indexes = new Map<YAMLMap, Map<string, Pair>>();
  return (map, name) => {
    let index = indexes.get(map);
    if (index === undefined) {
      index = new Map(map.items.flatMap((pair) => isScalar(pair.key) ? [[String(pair.key.value), pair]] : []));
      indexes.set(map, index);
    }
    return index.get(name);
  };
}

/** A document of a text, and the line at which it begins, from 1. */
export interface DocumentPart {
  readonly text: string;
  readonly line: number;
}

/**
 * Returns the documents of a text that have more than comments, cut at the lines `---`. They are not parsed: a line `---` in a
 * text over several lines would be indented.
 */
export function documentsIn(text: string): readonly DocumentPart[] {
  const lines = text.split("\n");
  const starts = [0, ...lines.flatMap((line, index) => /^---(?:\s|$)/.test(line) ? [index] : [])];
  return starts.map((start, index) => ({
    line: start + 1,
    text: lines.slice(start, starts[index + 1]).join("\n").replace(/^---(?=\s|$)/, ""),
  })).filter(({ text }) => text.replaceAll(/^\s*(?:[#%].*)?$/gm, "").trim() !== "");
}

/**
 * Returns what is at a path, and where its key or its entry begins; where there is nothing, the place of the last one on
 * the way that is there.
 */
function walk(
  contents: unknown,
  path: readonly (string | number)[],
  pairOf: FindPair,
): { readonly node?: unknown; readonly offset?: number | undefined } {
  let node = contents;
  let offset: number | undefined;
  for (const step of path) {
    if (isMap(node)) {
      const pair = pairOf(node, String(step));
      if (pair === undefined) return { offset };
      offset = isScalar(pair.key) ? pair.key.range?.[0] ?? offset : offset;
      node = pair.value;
    } else {
      const item = isSeq(node) ? node.items[Number(step)] : undefined;
      if (!isNode(item)) return { offset };
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return { node, offset };
}

/**
 * Refuses aliases, duplicate keys and keys that are not scalars. The keys 4 and "4" have the same name. A list or a mapping has
 * no name: the library would convert it to text, which for a thousand nested keys never ends.
 */
function checkKeys(document: Document.Parsed, lineAt: (offset: number) => number): void {
  visit(document, {
    Alias(_, { range }) {
      throw new YamlError("anchors and aliases are not allowed", lineAt(range?.[0] ?? 0));
    },
    Map(_, { items }) {
      const seen = new Map<string, number | undefined>();
      for (const { key } of items) {
        const offset = isNode(key) ? key.range?.[0] : undefined;
        const line = offset === undefined ? undefined : lineAt(offset);
        if (key !== null && !isScalar(key)) throw new YamlError("a key is a list, a mapping or an alias", line);
        const name = String(key?.value);
        if (OVERLOOKED_KEYS.includes(name)) throw new YamlError(`${name} is no key anywhere`, line);
        if (seen.has(name)) {
          const first = seen.get(name);
          const where = first === undefined ? "" : ` (first at line ${first})`;
          throw new YamlError(
            `Map keys must be unique, and one is there twice: ${JSON.stringify(name)}${where}`,
            line,
          );
        }
        seen.set(name, line);
      }
    },
  });
}
