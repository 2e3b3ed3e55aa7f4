import { join } from "node:path";
import type { Machine } from "../e2e/machine.ts";
import type { Testbed } from "../e2e/testbed.ts";
import { initLog, operatorName } from "./demo_testbed.ts";

const shownLines = 12;
const longestLine = 400;

/** Where all logs of a testbed are, and the ends of the operator's and each node's, as text. */
export async function lastLogs(testbed: Testbed): Promise<string> {
  const nodes = await Promise.all(testbed.machines.map(lastLogsOf));
  const init = await linesOf(join(testbed.folder, operatorName, initLog));
  const operator = init.length === 0 ? [] : [ending("the operator's init", init)];
  return `\n${[...nodes, ...operator].join("\n")}\nAll logs: ${testbed.folder}\n`;
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
