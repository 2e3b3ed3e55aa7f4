import assert from "node:assert/strict";
import { statusError } from "./_api_status.ts";

Deno.test("statusError() returns a stable code by status and reason, and whether it is retriable", () => {
  const cases: readonly (readonly [number, string, string, boolean])[] = [
    [400, "BadRequest", "malformed/kubernetes-api", false],
    [401, "Unauthorized", "unauthorized/kubernetes-api", false],
    [403, "Forbidden", "unauthorized/kubernetes-api", false],
    [404, "NotFound", "precondition/not-found", false],
    [409, "AlreadyExists", "conflict/already-exists", false],
    [409, "Conflict", "conflict/changed", false],
    [422, "Invalid", "malformed/kubernetes-api", false],
    [408, "", "unavailable/kubernetes-api", true],
    [429, "TooManyRequests", "unavailable/kubernetes-api", true],
    [500, "InternalError", "unavailable/kubernetes-api", true],
    [503, "ServiceUnavailable", "unavailable/kubernetes-api", true],
    [504, "Timeout", "unavailable/kubernetes-api", true],
    [302, "", "internal/kubernetes-api", false],
  ];
  for (const [status, reason, code, retriable] of cases) {
    const error = statusError("GET /x", status, JSON.stringify({ kind: "Status", reason, message: "why" }));
    assert.deepEqual([error.code, error.retriable, error.details.reason], [code, retriable, reason]);
  }
});

Deno.test("statusError() makes etcd's time-out retriable, which the API server passes on as 500", () => {
  const body = { kind: "Status", status: "Failure", message: "etcdserver: request timed out", code: 500 };
  const error = statusError("POST /x", 500, JSON.stringify(body));
  assert.deepEqual([error.code, error.retriable], ["unavailable/kubernetes-api", true]);
  assert.equal(error.message, "POST /x was refused with 500: etcdserver: request timed out");
});

Deno.test("statusError() tells an authorizer that fails from a handler that fails", () => {
  const body = 'Internal Server Error: "/api/v1/nodes/a": Post "https://127.0.0.1:1/": connection refused\n';
  const error = statusError("GET /x", 500, body);
  assert.deepEqual([error.code, error.retriable], ["unavailable/kubernetes-authorizer", true]);
  assert.equal(statusError("GET /x", 503, body).code, "unavailable/kubernetes-api");
  assert.equal(statusError("GET /x", 500, JSON.stringify({ message: body })).code, "unavailable/kubernetes-api");
});

Deno.test("statusError() accepts an answer that is not a Status, and redacts tokens of one that is", () => {
  assert.match(statusError("GET /x", 502, "<html>").message, /502/);
  assert.match(statusError("GET /x", 502, "[1]").message, /502/);
  const error = statusError("GET /x", 403, JSON.stringify({ message: "bad abcdef.0123456789abcdef" }));
  assert.ok(!error.message.includes("0123456789abcdef"));
});
