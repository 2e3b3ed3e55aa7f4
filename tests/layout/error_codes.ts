/**
 * Which error codes the sources throw and which the tests expect, read from their text.
 *
 * @module
 */

const QUOTED = /(["`])((?:\\.|(?!\1)[^\\\n])*)\1/g;
/** A code within a longer text, or in a regular expression. */
const CODE = /\b[a-z]+\\?\/[a-z0-9-]+/g;
const COMMENT = /^\s*(?:\/\*\*?|\*|\/\/).*$/gm;
/** A code of which the end is put in, as `refused/snp-${check}`. */
const OPEN_CODE = /`([a-z]+\/(?:[a-z0-9-]+-)?)\$\{/g;
/** Where a code is looked at, not thrown. */
const COMPARISON = /[!=]== "[^"\n]*"|\b(?:hasCode|unless)\([^)]*\)/g;
/** Where a test makes an error itself, and the test's name. */
const NO_EXPECTATION = /\b(?:BootstrapError|PeerError|Deno\.test|step)\(\s*"[^"\n]*"/g;

/** The codes that a file of the program may throw, and texts that are no codes. `endings` are what open codes may end with. */
export function codesThrownIn(text: string, endings: ReadonlySet<string>): Set<string> {
  return codesIn(withoutComments(text).replaceAll(COMPARISON, ""), endings);
}

/** The codes that a test may expect, and texts that are no codes. */
export function codesExpectedIn(text: string): Set<string> {
  const rest = withoutComments(text).replaceAll(NO_EXPECTATION, "");
  const codes = codesIn(rest, textsIn(rest));
  for (const [code] of rest.matchAll(CODE)) codes.add(code.replace("\\", ""));
  return codes;
}

/** All texts in quotation marks. */
export function textsIn(text: string): Set<string> {
  return new Set([...text.matchAll(QUOTED)].map(([, , inner = ""]) => inner));
}

function withoutComments(text: string): string {
  return text.replaceAll(COMMENT, "");
}

function codesIn(text: string, endings: ReadonlySet<string>): Set<string> {
  const codes = textsIn(text);
  for (const [, start = ""] of text.matchAll(OPEN_CODE)) {
    for (const ending of endings) codes.add(start + ending);
  }
  return codes;
}
