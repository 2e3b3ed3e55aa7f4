/**
 * Reads untrusted YAML: a single document with only values, in a time that is proportional to its length.
 *
 * @module
 */
import type { Document } from "yaml";
import { isScalar, LineCounter, parseDocument, visit } from "yaml";

/** Valibot silently drops these keys from records. */
const OVERLOOKED_KEYS: readonly string[] = ["__proto__", "prototype", "constructor"];

/**
 * Parses a single document of the YAML 1.2 core schema. Aliases, tags, duplicate keys, keys that are not scalars, and
 * JavaScript's own names as keys are refused.
 *
 * @throws {Error} Any error of the parser. The first line of its message describes the problem, and may quote the text.
 */
export function readYaml(text: string): unknown {
  // The library's own search for duplicate keys compares each key with all earlier ones, and its error positions need a
  // pass over the text for each error. For 64 KiB either takes seconds, so neither is used.
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
 * Refuses duplicate keys and keys that are not scalars. The keys 4 and "4" have the same name. A list or a mapping has
 * no name: the library would convert it to text, which for a thousand nested keys never ends.
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
