import assert from "node:assert/strict";
import { asBootstrapError, BootstrapError, errorFamily, exitCodeOf, sentenceOf } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";

Deno.test("BootstrapError carries its code, sentence, facts and cause", () => {
  const cause = new Error("below");
  const error = new BootstrapError("refused/pcr-4", "PCR 4 differs", {
    next: "Build the image again",
    details: { seen: "a" },
    cause,
  });
  assert(error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.next, error.details, error.cause],
    ["BootstrapError", "refused/pcr-4", "PCR 4 differs", "Build the image again", { seen: "a" }, cause],
  );
});

Deno.test("BootstrapError has no next action, facts or cause when none is given", () => {
  const error = new BootstrapError("system/file", "gone");
  assert.deepEqual([error.next, error.details, error.checks, "cause" in error], ["", {}, [], false]);
});

Deno.test("BootstrapError is retriable by its family, or as it is told", () => {
  const cases: readonly (readonly [code: ErrorCode, told: boolean | undefined, expected: boolean])[] = [
    ["unavailable/peer-gone", undefined, true],
    ["timeout/peer", undefined, true],
    ["refused/pcr-4", undefined, false],
    ["system/file", undefined, false],
    ["precondition/clock-skew", true, true],
    ["unavailable/peer-gone", false, false],
  ];
  for (const [code, told, expected] of cases) {
    const options = told === undefined ? {} : { retriable: told };
    assert.equal(new BootstrapError(code, "", options).retriable, expected, code);
  }
});

Deno.test("exitCodeOf() is 4 for what may work later, and otherwise the family's", () => {
  const cases: readonly (readonly [code: ErrorCode, expected: number])[] = [
    ["usage/unknown-option", 2],
    ["refused/pcr-4", 3],
    ["unauthorized/operator", 3],
    ["protocol/order", 3],
    ["malformed/der", 1],
    ["precondition/preflight", 1],
    ["conflict/node-name", 1],
    ["aborted/run", 1],
    ["system/file", 1],
    ["internal/unexpected", 1],
    ["unavailable/connection", 4],
    ["timeout/connect", 4],
  ];
  for (const [code, expected] of cases) assert.equal(exitCodeOf(new BootstrapError(code, "")), expected, code);
  assert.equal(exitCodeOf(new BootstrapError("precondition/clock-skew", "", { retriable: true })), 4);
  assert.equal(exitCodeOf(new BootstrapError("unavailable/connection", "", { retriable: false })), 4);
});

Deno.test("errorFamily() takes a family that it does not know for a defect", () => {
  assert.equal(errorFamily("refused/pcr-4"), "refused");
  for (const code of ["nonsense/x", "/x", "toString/x", "refused", ""]) {
    assert.equal(errorFamily(code as ErrorCode), "internal", code);
  }
});

Deno.test("asBootstrapError() gives one of ours back, and wraps anything else with it as the cause", () => {
  const ours = new BootstrapError("refused/pcr-4", "x");
  assert.equal(asBootstrapError(ours, "system/file"), ours);
  const theirs = new TypeError("nope");
  const wrapped = asBootstrapError(theirs, "system/file");
  assert.deepEqual([wrapped.code, wrapped.message, wrapped.cause], ["system/file", "nope", theirs]);
  assert.deepEqual(
    [asBootstrapError("text").code, asBootstrapError("text").message],
    ["internal/unexpected", "text"],
  );
  assert.equal(asBootstrapError(undefined).message, "undefined");
});

Deno.test("sentenceOf() says what happened and why, and nothing twice", () => {
  const refused = new TypeError("connection refused");
  const unreachable = new BootstrapError("unavailable/connection", "Cannot reach 192.0.2.1", { cause: refused });
  assert.equal(
    sentenceOf(new BootstrapError("timeout/peer", "Nothing came", { cause: unreachable })),
    [
      ...["Nothing came", "Cannot reach 192.0.2.1", "connection refused"],
    ].join(": "),
  );
  const said = new BootstrapError("unavailable/connection", "The call failed: connection refused", { cause: refused });
  assert.equal(sentenceOf(said), said.message);
});
