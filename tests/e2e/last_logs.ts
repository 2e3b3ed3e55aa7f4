import type { Machine } from "./machine.ts";
import type { Testbed } from "./testbed.ts";

const shownLines = 12;
const longestLine = 400;

/**
 * Where all logs of a testbed are, and the ends of each node's and of further ones, as text.
 *
 * @param further what else to show: files by what they are the log of
 */
export async function lastLogs(testbed: Testbed, further: Readonly<Record<string, string>> = {}): Promise<string> {
  const nodes = await Promise.all(testbed.machines.map(lastLogsOf));
  const others = await Promise.all(
    Object.entries(further).map(async ([source, path]) => ({ source, lines: await linesOf(path) })),
  );
  const shown = others.filter(({ lines }) => lines.length > 0).map(({ source, lines }) => ending(source, lines));
  return `\n${[...nodes, ...shown].join("\n")}\nAll logs: ${testbed.folder}\n`;
}

/** The last lines of the bootstrapper; of the console while the bootstrapper has said nothing. */
async function lastLogsOf(machine: Machine): Promise<string> {
  const entries = (await machine.journal.entries()).filter(({ unit }) => unit.startsWith("bootstrapper"));
  if (entries.length > 0) return ending(`the bootstrapper of ${machine.name}`, entries.map(({ message }) => message));
  return ending(`the console of ${machine.name}`, await linesOf(machine.console));
}

async function linesOf(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

function ending(source: string, lines: readonly string[]): string {
  const shown = lines.slice(-shownLines);
  const printable = shown.map((line) => `  ${line.replaceAll(/\p{Cc}+/gu, " ").slice(0, longestLine)}\n`);
  return `The last lines of ${source}:\n${printable.join("")}`;
}
