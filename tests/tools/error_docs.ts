/**
 * Writes docs/errors.md, the table of all error codes, from the catalogue. With `--check` it only says whether the file is
 * as it would be written.
 *
 * @module
 */
import { ERROR_CATALOGUE } from "../../platform/errors/catalogue.ts";
import type { ErrorEntry, ErrorFamily } from "../../platform/errors/entry.ts";
import { ERROR_FAMILIES } from "../../platform/errors/entry.ts";

const PATH = new URL("../../docs/errors.md", import.meta.url);

const INTRODUCTION = `<!-- Made by \`deno task docs:errors\` from platform/errors/. Do not edit. -->

# Error codes

Every error has a stable code: its family, a slash, and what exactly. \`bootstrapper\` prints it, \`--output json\` has it as
\`error.code\`, and the logs as \`code\`. Programs should decide by the code, never by the text.

"What to do" is what \`bootstrapper\` prints where the error has no more specific advice. "Time may mend it" says whether the
same request may succeed later without anybody changing anything; \`retriable\` of the error says so for the one at hand. A
code of a known family that is not below is of a peer of another version.

The exit code of \`bootstrapper\` is 0 for success, 1 for a failure, 2 for wrong usage, 3 for a refusal, and 4 for what may work
later.
`;

/** The documentation of all codes, in Markdown. */
export function errorDocs(): string {
  const sections = Object.keys(ERROR_FAMILIES).map((family) => familySection(family as ErrorFamily));
  return `${INTRODUCTION}\n${sections.join("\n")}`;
}

function familySection(family: ErrorFamily): string {
  const rows = Object.entries(ERROR_CATALOGUE).filter(([code]) => code.startsWith(`${family}/`))
    .map(([code, entry]) => row(family, code, entry));
  return [
    ...[`## \`${family}\``, "", ERROR_FAMILIES[family].meaning, ""],
    ...["| Code | Meaning | What to do | Time may mend it | Exit code |", "| --- | --- | --- | --- | --- |"],
    ...rows,
    "",
  ].join("\n");
}

function row(family: ErrorFamily, code: string, entry: ErrorEntry): string {
  const { exitCode, retriable: byFamily } = ERROR_FAMILIES[family];
  const { meaning, remedy, sometimes, retriable = byFamily } = entry;
  const later = ERROR_FAMILIES.unavailable.exitCode;
  const [mends, exit] = sometimes !== undefined
    ? [`sometimes: ${sometimes}`, `${exitCode} or ${later}`]
    : retriable
    ? ["yes", String(later)]
    : ["no", String(exitCode)];
  return `| \`${code}\` | ${[meaning, remedy, mends, exit].map(cell).join(" | ")} |`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (import.meta.main) {
  const docs = errorDocs();
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(PATH, docs);
  else if (await Deno.readTextFile(PATH).catch(() => "") !== docs) {
    await Deno.stderr.write(new TextEncoder().encode("docs/errors.md is stale: run `deno task docs:errors`\n"));
    Deno.exit(1);
  }
}
