/**
 * The table of `docs/troubles.md`, *world × moment*: what the operator hears, what `status` says, and how it ends. Tests
 * take what they expect from the page, so that the page says what the program does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitUntil } from "../../e2e/wait_until.ts";
import { repositoryRoot } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";
import { BOOTSTRAPPER, type BootstrapperProcess, type EventPattern, PATIENCE_MS } from "./run_process.ts";

/** A row of the table. In what is heard and what `status` says, `…` stands for anything. */
export interface TroubleRow {
  readonly world: string;
  readonly moment: string;
  readonly heard: string;
  readonly status: string;
  readonly ends: string;
}

/** The page, from the root of the repository. */
export const TROUBLES_PAGE = "docs/troubles.md";
const COLUMNS = 5;
/** A cell of a table in Markdown, in which `\\|` is no end. */
const CELL = /(?<!\\)\|/;

/** Reads the rows of a page's tables of five columns. */
export function troubleRows(page: string): readonly TroubleRow[] {
  return page.split("\n").filter((line) => line.startsWith("| ")).flatMap((line) => {
    const cells = line.split(CELL).slice(1, -1).map((cell) => cell.trim().replaceAll("\\|", "|"));
    const [world = "", moment = "", heard = "", status = "", ends = ""] = cells;
    const isRow = cells.length === COLUMNS && world !== "world" && !world.startsWith("---");
    return isRow ? [{ world, moment, heard, status, ends }] : [];
  });
}

/** Reads the page's rows. */
export async function readTroubleRows(): Promise<readonly TroubleRow[]> {
  return troubleRows(await Deno.readTextFile(join(repositoryRoot, TROUBLES_PAGE)));
}

/** Whether a text is what a cell says. The cell's own marks of code count for nothing. */
export function isLikeCell(cell: string, text: string): boolean {
  const parts = cell.replaceAll("`", "").split("…").map((part) =>
    part.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
  );
  return new RegExp(`^${parts.join("[^]*")}$`).test(text.replaceAll("`", "").replaceAll(/\s+/g, " ").trim());
}

const rows = await readTroubleRows();

/** The parts of the status that a row shows. */
interface Status {
  readonly phase?: string;
  readonly step?: string;
  readonly waitsFor?: string;
  readonly nodeName?: string;
  readonly address?: string;
  readonly error?: { readonly message: string };
  readonly lastRefusal?: { readonly message: string };
}

/** What `status` says of a machine. */
export async function statusOf(node: WorldNode): Promise<Status> {
  const { code, output } = await node.run([...BOOTSTRAPPER, "status", "--output", "json"]);
  assert.equal(code, 0, output);
  const { status } = JSON.parse(output.split("\n").find((line) => line.startsWith("{")) ?? "{}");
  return status ?? {};
}

/**
 * Asserts a row of the page: what was heard is like the page's, and what `status` says is like the page's at once, or
 * comes to that as tries fail.
 *
 * @param heard Not given where the operator hears nothing, and the page says so.
 */
export async function assertRow(node: WorldNode, world: string, moment: string, heard?: string): Promise<void> {
  const row = rows.find((one) => one.world === world && one.moment === moment);
  assert(row !== undefined, `${TROUBLES_PAGE} has no row "${world}", "${moment}"; heard: ${heard}`);
  let seen = "";
  const show = () => print(`| ${world} | ${moment} | ${heard ?? "nothing"} | ${seen} |`);
  using _shown = { [Symbol.dispose]: show };
  if (heard === undefined) assert.match(row.heard, /^nothing/);
  else assert.ok(isLikeCell(row.heard, heard), `${world}, ${moment}: heard ${JSON.stringify(heard)}, not ${row.heard}`);
  await until(`status of ${node.name} like ${row.status}`, async () => {
    const { phase, step, waitsFor, error, lastRefusal } = await statusOf(node);
    const at = phase === "joining" ? step : waitsFor;
    const said = [phase, at, (error ?? lastRefusal)?.message].filter((part) => part !== undefined).join(": ");
    seen = said;
    return isLikeCell(row.status, said) ? true : new NotYet(said);
  });
}

/** Shows what the page could say. */
function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line.replaceAll(/\s+/g, " ")}\n`));
}

/** What was seen instead. */
class NotYet {
  constructor(readonly seen: string) {}
}

/** Waits until something holds. */
export async function until(what: string, holds: () => Promise<boolean | NotYet>): Promise<void> {
  let seen = "";
  await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: 1_000 }, async () => {
    const result = await holds();
    if (result instanceof NotYet) seen = result.seen;
    return result === true;
  }).catch((cause) => {
    throw new Error(`Waited in vain for ${what}; seen last: ${seen}`, { cause });
  });
}

/** The reason that the operator hears last in an event, which is awaited. */
export async function says(init: BootstrapperProcess, pattern: EventPattern): Promise<string> {
  await init.event(pattern);
  const name = pattern["event"];
  const last = (await init.events()).findLast(({ event, state }) => event === name && state === pattern["state"]);
  return String(last?.["detail"] ?? last?.["reason"] ?? last?.["message"]);
}
