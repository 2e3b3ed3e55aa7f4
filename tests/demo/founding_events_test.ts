import assert from "node:assert/strict";
import { foundingClause, foundingEvents, foundingTimeline } from "./founding_events.ts";

const startMs = Date.parse("2026-01-01T00:00:00Z");

/** Lines of a node's journal, one each second. A string stands for a line of another program. */
function journalOf(lines: readonly (string | Record<string, unknown>)[], unit = "bootstrapper.service") {
  return lines.map((line, index) => ({
    ...{ time: new Date(startMs + index * 1000), boot: "1", unit, identifier: "any", priority: 6 },
    message: typeof line === "string" ? line : JSON.stringify(line),
  }));
}

Deno.test("foundingTimeline() sorts the events of all nodes by time", () => {
  const first = foundingEvents("node-1", journalOf(["kernel", { event: "founder-met", name: "node-22" }, "{torn"]));
  const second = foundingEvents("node-22", journalOf([{ event: "founding-pledged", founders: ["node-1", "node-22"] }]));
  assert.deepEqual(foundingTimeline([...first, ...second], startMs - 1500).split("\n").slice(2), [
    "    1.5 s  node-22  pledges to found with node-1, node-22",
    "    2.5 s  node-1   has met node-22",
    "",
  ]);
});

Deno.test("foundingEvents() has each event once, and none of other units", () => {
  const met = { event: "founder-met", name: "node-2" };
  assert.equal(foundingEvents("node-1", journalOf([met, met])).length, 1);
  assert.deepEqual(foundingEvents("node-1", journalOf([met], "init.scope")), []);
});

Deno.test("foundingClause() tells a decision, a resignation and the end of it apart", () => {
  const decision = { event: "founding-decision", epoch: 2, founder: "node-2" };
  assert.match(foundingClause(decision) ?? "", /node-2 founds the cluster \(epoch 2\)/);
  assert.match(foundingClause({ ...decision, resigned: "no disk" }) ?? "", /node-2 has resigned: no disk/);
  assert.match(foundingClause({ ...decision, complete: "sha256:00" }) ?? "", /node-2 has founded/);
});

Deno.test("foundingClause() says nothing of other events, and does not let a node control the terminal", () => {
  for (const event of ["phase-started", "toString", ""]) assert.equal(foundingClause({ event }), undefined);
  assert.equal(foundingClause({ event: "founder-met", name: "a\u001b[2J" }), "has met a [2J");
});
