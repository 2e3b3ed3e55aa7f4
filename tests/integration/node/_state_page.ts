/**
 * What `status` prints in each state of a machine, as `docs/states.md` shows it. The page is what a test has seen: values
 * that differ from run to run, the warnings of the test's own machine, and the timeline are left out of the comparison.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { repositoryRoot } from "../../world.ts";

/** The page, from the root of the repository. */
const STATES_PAGE = "docs/states.md";
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const CLUSTER_ID = /sha256:[0-9a-f]{64}/g;
const ADDRESS = /\b10(?:\.\d{1,3}){3}\b/g;

/** The blocks of a page, by the heading before each. */
export function statesOf(page: string): ReadonlyMap<string, string> {
  const blocks = page.matchAll(/^## (.+)\n[^]*?^```console\n\$ bootstrapper status\n([^]*?)^```$/gm);
  return new Map([...blocks].map(([, heading = "", text = ""]) => [heading, text]));
}

/** What is compared of a status. */
export function comparable(text: string): string {
  const [shown = ""] = text.split("\n\n");
  const lines = shown.split("\n").filter((line) => !line.startsWith("warning") && line !== "…");
  return lines.join("\n").trim().replaceAll(TIME, "TIME").replaceAll(CLUSTER_ID, "ID").replaceAll(ADDRESS, "ADDRESS");
}

const states = statesOf(await Deno.readTextFile(join(repositoryRoot, STATES_PAGE)));

/** Asserts that the page shows this text under the heading. */
export function assertState(heading: string, text: string): void {
  const shown = states.get(heading);
  assert(shown !== undefined, `${STATES_PAGE} has no block under "${heading}", which is:\n${text}`);
  assert.equal(comparable(text), comparable(shown), `the block under "${heading}" of ${STATES_PAGE}`);
}
