import { FreshNodeError, PeerError } from "../protocol/refusal.ts";
import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { BootstrapError, ERROR_FAMILIES, exitCodeOf } from "../platform/errors.ts";
import { foreignCode } from "../platform/testing/foreign_code.ts";
import { Refusal } from "../proto/gen/bootstrapper.ts";
import { statusOf } from "./grpc_status.ts";
import { errorOf } from "./refusal.ts";
import type { Audience } from "./refusal.ts";

const KEY = "bootstrapper-refusal-bin";

/** Sends an error through the wire format and returns the other end's error. */
function across(error: BootstrapError, audience: Audience): BootstrapError {
  const { code = status.UNKNOWN, details = "", metadata = new Metadata() } = statusOf(error, audience);
  return errorOf({ code, details, metadata: metadata as Metadata });
}

/** The error that results from arbitrary bytes in place of a peer's refusal. */
function refusalOf(encoded: Uint8Array): BootstrapError {
  const metadata = new Metadata();
  metadata.set(KEY, Buffer.from(encoded));
  return errorOf({ code: status.PERMISSION_DENIED, details: "whatever", metadata });
}

const encoded = (changes: Partial<Refusal>) =>
  Refusal.encode({
    code: "refused/pcr-4",
    message: "m",
    retriable: false,
    next: "",
    details: {},
    checks: [],
    nodeIsFresh: false,
    retryAfterSeconds: 0,
    ...changes,
  })
    .finish();

Deno.test("a refusal tells a peer everything, and is marked as said by the peer", () => {
  const details = { check: "pcr-4", expected: "aa", seen: "bb", saidBy: "nobody" };
  const said = across(new BootstrapError("refused/pcr-4", "PCR 4 differs", { next: "Look", details }), "peer");
  assert.deepEqual(
    [said.code, said.message, said.next, said.retriable, said.details],
    ["refused/pcr-4", "PCR 4 differs", "Look", false, { ...details, saidBy: "peer" }],
  );
});

Deno.test("a refusal is a PeerError, and tells whether the peer is still fresh", () => {
  // A detail, such as the name of a node, never counts as the statement.
  const error = new BootstrapError("precondition/preflight", "no", { details: { node: "fresh" }, retriable: true });
  for (const [sent, isFresh] of [[new FreshNodeError(error), true], [error, false]] as const) {
    const said = across(sent, "peer");
    assert(said instanceof PeerError);
    assert.deepEqual([said.isFresh, said.code, said.retriable], [isFresh, "precondition/preflight", true]);
  }
  const toStranger = across(new FreshNodeError(error), "stranger");
  assert(toStranger instanceof PeerError && !toStranger.isFresh);
  const lost = errorOf({ code: status.UNAVAILABLE, details: "gone" });
  assert(!(lost instanceof PeerError), "a failure of the transport must not be a PeerError");
});

Deno.test("a refusal tells a stranger only its code, in the gRPC status too", () => {
  const error = new BootstrapError("refused/pcr-4", "secret sentence", {
    retriable: true,
    next: "secret step",
    details: { seen: "secret fact" },
    cause: new Error("secret cause"),
  });
  const sent = statusOf(error, "stranger");
  const [bytes] = sent.metadata?.get(KEY) ?? [];
  assert(!`${sent.details} ${bytes}`.includes("secret"));
  const said = across(error, "stranger");
  assert.deepEqual(
    [said.code, said.message, said.retriable, said.details],
    ["refused/pcr-4", "The peer refused: refused/pcr-4", true, { saidBy: "peer" }],
  );
});

Deno.test("a refusal never contains the causes of an error", () => {
  const error = new BootstrapError("system/file", "no", { cause: new Error("secret cause") });
  const { metadata } = statusOf(error, "peer");
  assert(!String(metadata?.get(KEY)[0]).includes("secret"));
});

Deno.test("statusOf() has a gRPC status for each family of codes", () => {
  const expected: Readonly<Record<string, number>> = {
    precondition: status.FAILED_PRECONDITION,
    refused: status.PERMISSION_DENIED,
    unauthorized: status.UNAUTHENTICATED,
    unavailable: status.UNAVAILABLE,
    timeout: status.DEADLINE_EXCEEDED,
  };
  for (const family of Object.keys(ERROR_FAMILIES)) {
    const { code } = statusOf(new BootstrapError(foreignCode(`${family}/x`), "x"), "peer");
    assert(code !== undefined && code !== status.OK, family);
    if (family in expected) assert.equal(code, expected[family], family);
  }
});

Deno.test("a very long refusal is shortened, and arrives", () => {
  const details = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}`, "語".repeat(3000)]));
  const error = new BootstrapError("precondition/preflight", "語".repeat(5000), { next: "語".repeat(5000), details });
  const said = across(error, "peer");
  assert.equal(said.code, "precondition/preflight");
  assert.equal(said.message, "語".repeat(1024));
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, "x".repeat(900)]));
  const { "0": first, saidBy } =
    across(new BootstrapError("precondition/preflight", "no", { details: many }), "peer").details;
  assert.deepEqual([first, saidBy], ["x".repeat(900), "peer"]);
});

Deno.test("errorOf() removes text of a peer that could control a terminal or forge a line", () => {
  const nasty = "a\u001b[2Jb\nc\u0085d\u2028e\u202ef\u200bg";
  const nastyCheck = { check: nasty, expected: nasty, seen: nasty, message: nasty };
  const said = refusalOf(encoded({ message: nasty, next: nasty, details: { [nasty]: nasty }, checks: [nastyCheck] }));
  const clean = "a [2Jb c d e f g";
  assert.deepEqual([said.message, said.next, said.details], [clean, clean, { [clean]: clean, saidBy: "peer" }]);
  assert.deepEqual(said.checks, [{ check: clean, expected: clean, seen: clean, message: clean }]);
  const { message } = errorOf({ code: status.UNKNOWN, details: nasty });
  assert(!message.includes("\u001b") && !message.includes("\n"));
});

const CHECK = { check: "pcr-4", expected: "aa", seen: "bb", message: "PCR 4 differs" };

Deno.test("a refusal tells a peer every failed check, and a stranger none", () => {
  const checks = [CHECK, { ...CHECK, check: "pcr-11" }];
  const error = new BootstrapError("refused/pcr-4", "PCR 4 differs", { details: { seen: "bb" }, checks });
  assert.deepEqual(across(error, "peer").checks, checks);
  const [bytes] = statusOf(error, "stranger").metadata?.get(KEY) ?? [];
  assert(!String(bytes).includes("PCR 4"));
  assert.deepEqual(across(error, "stranger").checks, []);
});

Deno.test("a refusal of every register of a TPM arrives whole", () => {
  const checks = Array.from({ length: 24 }, (_, index) => {
    const [expected, seen] = ["a".repeat(64), "b".repeat(64)];
    return { check: `pcr-${index}`, expected, seen, message: `PCR ${index} does not have an allowed value` };
  });
  assert.deepEqual(across(new BootstrapError("refused/pcr-0", "no", { checks }), "peer").checks, checks);
});

Deno.test("a refusal keeps only the checks that fit when they are too many or too long", () => {
  const text = "語".repeat(3000);
  const checks = Array.from({ length: 100 }, () => ({ check: text, expected: text, seen: text, message: text }));
  const said = across(new BootstrapError("refused/pcr-4", "no", { details: { seen: "bb" }, checks }), "peer");
  assert.deepEqual([said.code, said.details["seen"]], ["refused/pcr-4", "bb"]);
  assert(said.checks.length > 0);
  assert(said.checks.every(({ seen }) => seen === "語".repeat(256)));
  const many = Array.from({ length: 100 }, () => CHECK);
  assert.equal(across(new BootstrapError("refused/pcr-4", "no", { checks: many }), "peer").checks.length, 32);
  assert.equal(refusalOf(encoded({ checks: many })).checks.length, 32);
});

Deno.test("errorOf() keeps an unknown code of a peer when its family is known", () => {
  const said = refusalOf(encoded({ code: "refused/of-another-version" }));
  assert.deepEqual([said.code, exitCodeOf(said)], ["refused/of-another-version", 3]);
});

Deno.test("errorOf() reads retryAfterSeconds of 1 to 99 only", () => {
  for (const [sent, read] of [[0, undefined], [1, 1], [99, 99], [100, undefined], [2 ** 32 - 1, undefined]] as const) {
    const said = refusalOf(encoded({ code: "unavailable/busy", retryAfterSeconds: sent }));
    assert.deepEqual([said.retryAfterSeconds, said.details["retryAfterSeconds"]], [read, read?.toString()]);
  }
  const detail = refusalOf(encoded({ code: "unavailable/busy", details: { retryAfterSeconds: "5" } }));
  assert.equal(detail.retryAfterSeconds, undefined, "a detail never decides");
});

Deno.test("a refusal contains retryAfterSeconds, for a stranger too", () => {
  const error = new BootstrapError("unavailable/busy", "Busy", { retryAfterSeconds: 5, details: { waiting: "3" } });
  for (const audience of ["peer", "stranger"] as const) assert.equal(across(error, audience).retryAfterSeconds, 5);
  assert.equal(across(error, "stranger").details["waiting"], undefined);
});

Deno.test("errorOf() refuses a code of an unknown family", () => {
  for (
    const code of [
      "",
      "refused",
      "/x",
      "nonsense/x",
      "constructor/x",
      "toString/x",
      "refused/X",
      "refused/a b",
      "refused/a/b",
    ]
  ) {
    assert.equal(refusalOf(encoded({ code })).code, "unavailable/connection", code);
  }
});

Deno.test("errorOf() limits the number and length of a peer's details", () => {
  const details = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}`, "x"]));
  assert.equal(Object.keys(refusalOf(encoded({ details })).details).length, 17);
  assert.equal(refusalOf(encoded({ message: "x".repeat(9000) })).code, "unavailable/connection");
});

Deno.test("errorOf() converts any bytes to an error", () => {
  const good = encoded({ details: { a: "b" }, checks: [CHECK] });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert(refusalOf(bytes) instanceof BootstrapError);
  }));
  for (let length = 0; length < good.length; length++) {
    assert(refusalOf(good.subarray(0, length)) instanceof BootstrapError);
  }
  fc.assert(fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
    const { details, checks } = refusalOf(good.with(index, (good[index] ?? 0) ^ mask));
    assert([details, ...checks].flatMap((texts) => Object.values(texts)).every((text) => typeof text === "string"));
  }));
});

Deno.test("errorOf() describes the failure when there is no refusal", () => {
  const of = (code: number) => errorOf({ code, details: "because", metadata: new Metadata() }).code;
  assert.equal(of(status.CANCELLED), "aborted/call");
  assert.equal(of(status.RESOURCE_EXHAUSTED), "protocol/message-size");
  assert.equal(of(status.UNAVAILABLE), "unavailable/connection");
  assert.equal(of(status.UNIMPLEMENTED), "unavailable/connection");
});
