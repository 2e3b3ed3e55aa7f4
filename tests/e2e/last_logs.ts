import type { Machine } from "./machine.ts";
import type { Testbed } from "./testbed.ts";

const shownLines = 12;
const longestLine = 400;

/**
 * Returns, as text, where all logs of a testbed are, with the last lines of each node's log and of further logs.
 *
 * @param further further log files to show, by whose log each is
 */
export async function lastLogs(testbed: Testbed, further: Readonly<Record<string, string>> = {}): Promise<string> {
  const nodes = await Promise.all(testbed.machines.map(lastLogsOf));
  const others = await Promise.all(
    Object.entries(further).map(async ([source, path]) => ({ source, lines: await linesOf(path) })),
  );
  const shown = others.filter(({ lines }) => lines.length > 0).map(({ source, lines }) => ending(source, lines));
  return `\n${[...nodes, ...shown].join("\n")}\nAll logs: ${testbed.folder}\n`;
}

/** The last lines of the bootstrapper's log, or of the console if the bootstrapper has logged nothing yet. */
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
