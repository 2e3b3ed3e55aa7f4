/**
 * YAML as data that somebody else may have written: one document, nothing but values, in a time that grows with its length only.
 *
 * @module
 */
import type { Document } from "yaml";
import { isScalar, LineCounter, parseDocument, visit } from "yaml";

/** Valibot leaves these out of records without a word. */
const OVERLOOKED_KEYS: readonly string[] = ["__proto__", "prototype", "constructor"];

/**
 * The value that a YAML document stands for. YAML 1.2 core schema, one document, no aliases, no tags, no key twice or that is no scalar, none of
 * JavaScript's own names as keys.
 *
 * @throws {Error} Anything that the reader throws; the first line of the message says what is wrong, and may quote the text.
 */
export function readYaml(text: string): unknown {
  // Not the reader's own way to look for keys that are there twice, nor to show where errors are: the one compares each key with
  // all before it, the other goes through the text for each error, which for 64 KiB takes seconds.
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    schema: "core",
    version: "1.2",
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "error",
    lineCounter,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new Error(`${problem.message} at line ${line}, column ${col}`, { cause: problem });
  }
  checkKeys(document);
  return document.toJS({ maxAliasCount: 0 });
}

/**
 * As names, 4 and "4" are the same. A key that is a list or a mapping has no name: the library would write it out as one, and a
 * thousand such keys inside each other keep it busy for ever.
 */
function checkKeys(document: Document.Parsed): void {
  visit(document, {
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
