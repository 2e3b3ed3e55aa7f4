/**
 * `bootstrapper man`: writes the manual pages, made of the commands' own declarations.
 *
 * @module
 */
import { join } from "node:path";
import type { CommandDescription } from "../command_description.ts";
import { describeFamilies } from "../command_description.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { manualPage, programPage } from "../manual_page.ts";
import { printResult } from "../output.ts";
import { utf8 } from "../../platform/bytes.ts";
import { ensureFolder, writeFileAtomic } from "../../platform/files.ts";

/** The options of `man`. */
export interface ManOptions {
  readonly folder: string;
  readonly commands: readonly CommandDescription[];
  readonly output: OutputForm;
}

const PAGE_MODE = 0o644;

/** Writes `bootstrapper.1`, and a page for each command, such as `bootstrapper-policy-make.1`. */
export async function man({ folder, commands, output }: ManOptions, context: CliContext): Promise<void> {
  await ensureFolder(folder);
  const date = context.clock.now().toISOString().slice(0, "2026-01-31".length);
  const pages = [
    { file: "bootstrapper.1", text: programPage(commands, describeFamilies(commands), date) },
    ...commands.map((command) => ({ file: `${pageName(command.name)}.1`, text: manualPage(command, date) })),
  ];
  for (const { file, text } of pages) await writeFileAtomic(join(folder, file), utf8(text), { mode: PAGE_MODE });
  const result = { folder, pages: pages.map(({ file }) => file) };
  printResult(context, output, result, `Wrote ${pages.length} pages to ${folder}. Read one with \`man -l FILE\`.`);
}

function pageName(command: string): string {
  return `bootstrapper-${command.replaceAll(" ", "-")}`;
}
