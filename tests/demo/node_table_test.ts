import assert from "node:assert/strict";
import type { NodeRow } from "./node_row.ts";
import { bootingRow, nodeRow } from "./node_row.ts";
import { nodeLine, nodeTable } from "./node_table.ts";

const startMs = Date.parse("2026-01-01T00:00:00Z");

/** The row of a node after lines of its log, one each second. A string stands for a line of another unit. */
function rowAfter(lines: readonly (string | Record<string, unknown>)[]): NodeRow {
  return lines.reduce<NodeRow>((row, line, index) =>
    nodeRow(row, {
      time: new Date(startMs + index * 1000),
      boot: "1",
      unit: typeof line === "string" ? "init.scope" : "bootstrapper.service",
      identifier: "any",
      priority: 6,
      message: typeof line === "string" ? line : JSON.stringify(line),
    }), bootingRow("node-1", "10.77.0.11"));
}

const started = (phase: string) => ({ event: "phase-started", phase });
const ended = (phase: string, outcome = "succeeded") => ({ event: "phase-ended", phase, outcome, durationMs: 1500 });

Deno.test("nodeTable() has one line for each node under a header, with aligned columns", () => {
  const rows = [
    rowAfter(["kernel", { event: "race", state: "initialising" }, started("kubeadm-init")]),
    { ...bootingRow("node-22", "10.77.0.12"), kubernetes: "Ready" },
  ];
  assert.deepEqual(nodeTable(rows, startMs + 14_400), [
    "NODE     ADDRESS     STATE         PHASE           TIME    KUBERNETES",
    "node-1   10.77.0.11  initialising  … kubeadm-init  12.4 s  –",
    "node-22  10.77.0.12  booting       –                       Ready",
  ]);
});

Deno.test("nodeTable() shows no negative time when the node's clock is ahead", () => {
  assert.match(nodeTable([rowAfter([started("detect")])], startMs - 60_000)[1] ?? "", / 0\.0 s /);
});

Deno.test("nodeTable() does not let a node control the terminal", () => {
  const row = rowAfter([{ event: "run-failed", code: "a/b", message: "one\u001b[2Jtwo\nthree" }]);
  assert.match(nodeTable([row], startMs)[1] ?? "", /failed .* a\/b: one \[2Jtwo three$/);
});

Deno.test("nodeRow() follows the node's race", () => {
  const lines = [
    started("detect"),
    ended("detect"),
    { event: "race", state: "racing" },
    { event: "race", state: "joining" },
    { event: "member" },
  ];
  const states = lines.map((_, index) => rowAfter(lines.slice(0, index + 1)).state);
  assert.deepEqual(states, ["detecting", "detecting", "racing", "joining", "member"]);
});

Deno.test("nodeRow() shows a nested phase while it runs, and then the outer one", () => {
  const lines = [started("outer"), started("inner"), ended("inner"), ended("outer")];
  const shown = lines.map((_, index) => nodeLine(rowAfter(lines.slice(0, index + 1))));
  assert.deepEqual(shown, [
    "node-1  booting  … outer",
    "node-1  booting  … inner",
    "node-1  booting  … outer",
    "node-1  booting  ✓ inner 1.5 s",
  ]);
});

Deno.test("nodeRow() shows why a phase failed until the next one begins", () => {
  const failed = [started("preflight"), { ...ended("preflight", "failed"), code: "precondition/preflight" }];
  assert.equal(nodeLine(rowAfter(failed)), "node-1  booting  ✗ preflight 1.5 s  precondition/preflight");
  assert.equal(nodeLine(rowAfter([...failed, started("preflight")])), "node-1  booting  … preflight");
});

Deno.test("nodeRow() shows what a join waits for, and which node was refused", () => {
  const note = (event: string, fields: Record<string, unknown>) => rowAfter([{ event, ...fields }]).note;
  const endpoint = "10.77.0.11:9444";
  assert.equal(note("join-endpoint-unreachable", { endpoint }), "waiting for a join service at 10.77.0.11:9444");
  assert.equal(note("join-endpoint-refused", { endpoint, code: "refused/pcr-4" }), "10.77.0.11:9444: refused/pcr-4");
  assert.equal(note("join-refused", { node: "node-2", code: "refused/pcr-4" }), "refused node-2: refused/pcr-4");
});

Deno.test("nodeRow() shows no phase that was stopped", () => {
  const stopped = { ...ended("join-ticket", "failed"), code: "aborted/ticket-search" };
  assert.equal(nodeLine(rowAfter([started("join-ticket"), stopped])), "node-1  booting");
});

Deno.test("nodeRow() shows how far a founding is", () => {
  const note = (event: string, fields: Record<string, unknown>) => rowAfter([{ event, ...fields }]).note;
  assert.equal(note("founders", { message: "2 of 3 founders; there: node-2" }), "2 of 3 founders; there: node-2");
  assert.equal(note("founding-pledged", { founders: ["a", "b"] }), "pledges to found with a, b");
});

Deno.test("nodeRow() ignores lines that are not the bootstrapper's", () => {
  for (const message of ["Started bootstrapper.", "{torn", "{}", '{"event":7}']) {
    const entry = { time: new Date(startMs), boot: "1", unit: "bootstrapper.service", identifier: "", priority: 6 };
    assert.equal(nodeLine(nodeRow(bootingRow("node-1", ""), { ...entry, message })), "node-1  booting");
  }
});
