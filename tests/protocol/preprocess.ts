/**
 * The model's preprocessor: `#ifdef`, `#ifndef`, `#else` and `#endif`, each on a line of its own, and nothing else of C's.
 *
 * @module
 */

const DIRECTIVE = /^#(ifdef|ifndef)\s+([A-Z][A-Z0-9]*)\s*$|^#(else|endif)\s*$/;

interface Block {
  readonly line: number;
  /** Whether the lines around it are kept. */
  readonly outer: boolean;
  kept: boolean;
  hasElse: boolean;
}

/**
 * The lines of a model that are there with some flags. Lines that are not there become empty ones, so that line numbers stay.
 *
 * @param flags Names of flags that are set, as `NOCB`.
 * @throws Error naming the line of what is no directive, or of a block that does not end.
 * @throws Error when a flag is in no directive of the model.
 */
export function preprocess(text: string, flags: readonly string[]): string {
  const known = flagsOf(text);
  const unknown = flags.find((flag) => !known.has(flag));
  if (unknown !== undefined) throw new Error(`Cannot set the flag "${unknown}" as the model does not know it`);
  const blocks: Block[] = [];
  const lines = text.split("\n").map((line, index) => {
    const inner = blocks.at(-1);
    if (!line.startsWith("#")) return inner?.kept ?? true ? line : "";
    const [, condition, flag = "", other] = DIRECTIVE.exec(line) ?? [];
    if (condition !== undefined) {
      const outer = inner?.kept ?? true;
      const holds = flags.includes(flag) === (condition === "ifdef");
      blocks.push({ line: index + 1, outer, kept: outer && holds, hasElse: false });
    } else if (other === "else" && inner !== undefined && !inner.hasElse) {
      inner.kept = inner.outer && !inner.kept;
      inner.hasElse = true;
    } else if (other === "endif" && inner !== undefined) blocks.pop();
    else throw new Error(`Cannot use line ${index + 1} of the model: ${line}`);
    return "";
  });
  const [open] = blocks;
  if (open !== undefined) throw new Error(`Cannot use the model as the block of line ${open.line} does not end`);
  return lines.join("\n");
}

/** The flags that a model's directives name. */
export function flagsOf(text: string): ReadonlySet<string> {
  return new Set(text.split("\n").flatMap((line) => DIRECTIVE.exec(line)?.[2] ?? []));
}
