/**
 * Reads untrusted YAML: a single document with only values, in a time that is proportional to its length.
 *
 * @module
 */
import type { Document, ParseOptions, SchemaOptions } from "yaml";
import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, parseDocument, visit } from "yaml";

/** Valibot silently drops these keys from records. */
const OVERLOOKED_KEYS: readonly string[] = ["__proto__", "prototype", "constructor"];

/** A document, and where its values are. */
export interface YamlDocument {
  readonly value: unknown;
  /**
   * The line of a key, or of a list's entry, from 1; of the nearest one above it where there is none; `undefined` for the
   * whole document.
   */
  lineOf(path: readonly (string | number)[]): number | undefined;
}

/**
 * Parses a single document of the YAML 1.2 core schema. Aliases, tags, duplicate keys, keys that are not scalars, and
 * JavaScript's own names as keys are refused.
 *
 * @throws {Error} Any error of the parser. The first line of its message describes the problem, and may quote the text.
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
    throw new Error(`${problem.message} at line ${line}, column ${col}`, { cause: problem });
  }
  checkKeys(document, (offset) => lineCounter.linePos(offset).line);
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    lineOf(path) {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? undefined : lineCounter.linePos(offset).line;
    },
  };
}

/** Where the key or the entry at a path begins, or the last one on the way to it that is there. */
function offsetOf(contents: unknown, path: readonly (string | number)[]): number | undefined {
  let node = contents;
  let offset: number | undefined;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair === undefined) break;
      offset = isScalar(pair.key) ? pair.key.range?.[0] ?? offset : offset;
      node = pair.value;
    } else {
      const item = isSeq(node) ? node.items[Number(step)] : undefined;
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return offset;
}

/**
 * Refuses aliases, duplicate keys and keys that are not scalars. The keys 4 and "4" have the same name. A list or a mapping has
 * no name: the library would convert it to text, which for a thousand nested keys never ends.
 */
function checkKeys(document: Document.Parsed, lineAt: (offset: number) => number): void {
  visit(document, {
    Alias(_, { range }) {
      throw new Error(`anchors and aliases are not allowed, at line ${lineAt(range?.[0] ?? 0)}`);
    },
    Map(_, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (key !== null && !isScalar(key)) throw new Error("a key is a list, a mapping or an alias");
        const name = String(key?.value);
        if (OVERLOOKED_KEYS.includes(name)) throw new Error(`${name} is no key anywhere`);
        if (seen.has(name)) throw new Error(`Map keys must be unique, and one is there twice: ${JSON.stringify(name)}`);
        seen.add(name);
      }
    },
  });
}
