/**
 * What ties the model to the code: the comments `(*@ … *)` at the ends of its lines.
 *
 *     (*@ init/exchange_server.ts receiveHello() "hello"; protocol/transcript.ts helloStatement() *)
 *
 * names functions (classes, methods, constants, interfaces), each with the file that declares it and perhaps a string that
 * stands in that file. `(*@ scene *)` says that a line is the attacker's world, and in no code.
 *
 * @module
 */

/** A name in the code. */
export interface Reference {
  /** From the root of the repository. */
  readonly file: string;
  /** As it is declared, without `()`. */
  readonly symbol: string;
  /** A string constant in the file. */
  readonly literal?: string;
}

/** A line of the model. */
export interface ModelLine {
  /** From 1. */
  readonly number: number;
  /** Without comments. */
  readonly code: string;
  /** Whether it is a line of one of the parties. */
  readonly isOfRole: boolean;
  /** What its comment names; `scene`; or nothing where it has none. */
  readonly references: readonly Reference[] | "scene" | undefined;
}

const MARK = /\(\*@ (.*?) \*\)/;
const REFERENCE = /^([\w/.]+\.ts) (#?\w+)\(\)(?: "([^"]+)")?$/;
const ROLE_BEGINS = /^let [A-Z]\w*\(/;
/** What a line may have that is neither a message nor a check: events, fresh values, brackets. */
const NEITHER = /\bevent \w+\([^;]*\)(?:;|\.?$)|\bnew \w+: \w+;|[!()|.\s]/g;
/** What begins a message, a check, a computed value or something kept. */
const ACTION = /\b(?:out|in)\(|\b(?:if|let|insert|get)\b/;

/**
 * Reads a model's lines, whatever flags they are there with.
 *
 * @throws Error naming the line whose comment has not the form.
 */
export function readModelLines(text: string): ModelLine[] {
  let isOfRole = false;
  return text.split("\n").map((line, index) => {
    const number = index + 1;
    if (ROLE_BEGINS.test(line)) isOfRole = true;
    const code = line.replaceAll(/\(\*.*?\*\)/g, "").trimEnd();
    const result = { number, code, isOfRole, references: readMark(line, number) };
    // A role's last line ends with a point; comments and blank lines between roles belong to none.
    if (isOfRole && code.endsWith(".")) isOfRole = false;
    return result;
  });
}

/** Whether a line sends, receives, checks, computes or keeps something. */
export function isMessageOrCheck({ code, isOfRole }: ModelLine): boolean {
  if (!isOfRole || code.startsWith("#") || ROLE_BEGINS.test(code)) return false;
  return ACTION.test(code) || code.replaceAll(NEITHER, "") !== "";
}

/**
 * Whether a source declares a name: a function, class, constant, type or interface, or a method of two spaces' depth.
 */
export function declares(source: string, symbol: string): boolean {
  const name = symbol.replace("$", "\\$");
  const declared = new RegExp(
    `^(?:export )?(?:default )?(?:async )?(?:function\\*?|class|const|interface|type) ${name}\\b`,
    "m",
  );
  const method = new RegExp(`^  (?:(?:override|static|async) )*${name}(?:<.*>)?\\((?:.*[{(,])?$`, "m");
  return declared.test(source) || method.test(source);
}

function readMark(line: string, number: number): ModelLine["references"] {
  const mark = MARK.exec(line)?.[1];
  if (mark === undefined) {
    if (line.includes("(*@")) throw new Error(`Cannot read the comment of line ${number} of the model`);
    return undefined;
  }
  if (mark === "scene") return mark;
  return mark.split("; ").map((text) => {
    const [, file, symbol, literal] = REFERENCE.exec(text) ?? [];
    if (file === undefined || symbol === undefined) {
      throw new Error(`Cannot read "${text}" in line ${number} of the model as a file, a name and perhaps a string`);
    }
    return { file, symbol, ...(literal === undefined ? {} : { literal }) };
  });
}
