import assert from "node:assert/strict";
import { grpcReason } from "./grpc_reason.ts";

Deno.test("grpcReason() keeps a cause's words only, and texts of other forms whole", () => {
  const cases: readonly (readonly [details: string, reason: string])[] = [
    [
      "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ",
      "connect ECONNREFUSED 127.0.0.1:1",
    ],
    ["No connection established. Last error: read ECONNRESET. Resolution note: x. y", "read ECONNRESET"],
    ["No connection established. Last error: null. Resolution note: ", "no connection was established"],
    ["Name resolution failed for target dns:node-1.example:9443", "the name in node-1.example:9443 cannot be resolved"],
    ["Received RST_STREAM with code 2 triggered by internal client error: read ECONNRESET", "read ECONNRESET"],
    ["Deadline exceeded after 1.001s,LB pick: 0.001s,remote_addr=10.0.0.1:2379", "Deadline exceeded after 1.001s"],
    ["Connection dropped", "Connection dropped"],
    ["", ""],
  ];
  for (const [details, reason] of cases) assert.equal(grpcReason(details), reason);
});
