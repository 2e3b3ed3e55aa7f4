import assert from "node:assert/strict";
import {
  asBootstrapError,
  BootstrapError,
  ERROR_FAMILIES,
  errorFamily,
  exitCodeOf,
  hasCode,
  isErrorCode,
  nextOf,
  readErrorCode,
  remedyOf,
  sentenceOf,
  withCauses,
} from "./errors.ts";
import type { ErrorCode } from "./errors.ts";
import { ERROR_CATALOGUE } from "./errors/catalogue.ts";
import type { ErrorEntry } from "./errors/entry.ts";
import { foreignCode } from "./testing/foreign_code.ts";

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

Deno.test("BootstrapError is retriable as the catalogue or its options say", () => {
  const cases: readonly (readonly [code: ErrorCode, told: boolean | undefined, expected: boolean])[] = [
    ["unavailable/peer-gone", undefined, true],
    ["timeout/peer", undefined, true],
    ["refused/pcr-4", undefined, false],
    ["system/file", undefined, false],
    ["precondition/clock-skew", undefined, true],
    ["precondition/clock-skew", false, false],
    ["unavailable/peer-gone", false, false],
  ];
  for (const [code, told, expected] of cases) {
    const options = told === undefined ? {} : { retriable: told };
    assert.equal(new BootstrapError(code, "", options).retriable, expected, code);
  }
});

Deno.test("exitCodeOf() is 4 for a retriable error, and otherwise the family's", () => {
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
  assert.equal(exitCodeOf(new BootstrapError("precondition/clock-skew", "")), 4);
  assert.equal(exitCodeOf(new BootstrapError("unavailable/connection", "", { retriable: false })), 4);
});

Deno.test("errorFamily() returns internal for an unknown family", () => {
  assert.equal(errorFamily("refused/pcr-4"), "refused");
  for (const code of ["nonsense/x", "/x", "toString/x", "refused", ""]) {
    assert.equal(errorFamily(code as ErrorCode), "internal", code);
  }
});

Deno.test("asBootstrapError() returns a BootstrapError unchanged, and wraps any other value as the cause", () => {
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

Deno.test("sentenceOf() contains the message and its causes, and repeats none", () => {
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

Deno.test("a misspelt code does not compile, whether it is thrown or compared", () => {
  const error = new BootstrapError("system/file", "gone");
  // @ts-expect-error -- The catalogue has no such code.
  assert.equal(new BootstrapError("system/flie", "").code, "system/flie");
  // @ts-expect-error -- Neither this version nor a peer has this code.
  assert.equal(error.code === "system/flie", false);
  // @ts-expect-error -- The catalogue has no such code.
  assert.equal(hasCode(error, "system/flie"), false);
  // @ts-expect-error -- This is a row of the catalogue, not a code.
  assert.equal(isErrorCode("refused/pcr-N" satisfies ErrorCode), false);
  const numbered: ErrorCode = "refused/pcr-15";
  assert.ok(isErrorCode(numbered));
});

Deno.test("isErrorCode() accepts the codes of the catalogue, and refuses a row of several codes", () => {
  for (const code of ["refused/pcr-0", "refused/pcr-15", "refused/tdx-rtmr-3", "refused/pcr-digest"]) {
    assert.ok(isErrorCode(code), code);
  }
  for (const code of ["refused/pcr-N", "refused/pcr-", "refused/pcr-100", "refused/pcr", "toString", "refused/", ""]) {
    assert.ok(!isErrorCode(code), code);
  }
});

Deno.test("readErrorCode() accepts this version's codes and a peer's own, and no other family or form", () => {
  for (const code of ["refused/pcr-4", "refused/of-another-version"]) assert.equal(readErrorCode(code), code);
  for (const code of ["nonsense/x", "refused", "refused/", "/x", "refused/X", "refused/a/b", "toString/x", ""]) {
    assert.equal(readErrorCode(code), undefined, code);
  }
});

Deno.test("a peer's own code has the retriability and the remedy of its family", () => {
  const code = foreignCode("unavailable/of-another-version");
  assert.equal(new BootstrapError(code, "").retriable, true);
  assert.equal(exitCodeOf(new BootstrapError(foreignCode("refused/of-another-version"), "")), 3);
  assert.equal(remedyOf(code), ERROR_FAMILIES.unavailable.remedy.replace(/\.$/, ""));
});

Deno.test("BootstrapError has the delay before the next try, in its details too", () => {
  const { retryAfterSeconds, details } = new BootstrapError("unavailable/busy", "", {
    retryAfterSeconds: 5,
    details: { waiting: "3" },
  });
  assert.deepEqual([retryAfterSeconds, details], [5, { waiting: "3", retryAfterSeconds: "5" }]);
  assert.equal(new BootstrapError("unavailable/busy", "").retryAfterSeconds, undefined);
});

Deno.test("the catalogue consists of sentences, and its codes have the form that peers accept", () => {
  for (const [code, { meaning, remedy, sometimes, untested }] of Object.entries<ErrorEntry>(ERROR_CATALOGUE)) {
    assert.match(code, /^[a-z]+\/[a-z0-9-]{1,62}(?:-N)?$/);
    for (const sentence of [meaning, remedy]) assert.match(sentence, /^[A-Z`].*\.$|^etcd .*\.$|^kubeadm .*\.$/s, code);
    for (const reason of [sometimes, untested]) assert.doesNotMatch(reason ?? "", /\.$/, code);
    assert.notEqual(meaning, remedy);
  }
});

Deno.test("withCauses() says in one sentence what a peer would otherwise not hear", () => {
  const cause = new Error("No such file or directory", { cause: new Error("ENOENT") });
  const error = new BootstrapError("system/file", "Cannot read the images", {
    cause,
    next: "Look",
    details: { a: "b" },
  });
  const told = withCauses(error);
  assert.equal(told.message, "Cannot read the images: No such file or directory: ENOENT");
  assert.deepEqual([told.code, told.next, told.details, told.cause], ["system/file", "Look", { a: "b" }, cause]);
  const alone = new BootstrapError("system/file", "Cannot read it");
  assert.equal(withCauses(alone), alone);
});

Deno.test("nextOf() says something for every code of the catalogue", () => {
  for (const code of Object.keys(ERROR_CATALOGUE)) {
    const name = code.replace(/-N$/, "-4");
    assert.ok(isErrorCode(name), name);
    assert.match(nextOf(new BootstrapError(name, "x")), /^[A-Z`].{5,}[^.]$/, name);
  }
});
