import assert from "node:assert/strict";
import { nodeStates } from "./node_states.ts";

Deno.test("nodeStates() calls a node Ready only when its condition says so", () => {
  const node = (name: string, status: object) => ({ metadata: { name }, status });
  const ready = (status: string) => ({
    conditions: [{ type: "MemoryPressure", status: "False" }, { type: "Ready", status }],
  });
  const items = [node("a", ready("True")), node("b", ready("False")), node("c", ready("Unknown")), node("d", {})];
  assert.deepEqual(Object.fromEntries(nodeStates(JSON.stringify({ items }))), {
    a: "Ready",
    b: "NotReady",
    c: "NotReady",
    d: "NotReady",
  });
});
