import assert from "node:assert/strict";
import { BootstrapError } from "./errors.ts";
import { createLog, errorFields, silentLog } from "./log.ts";
import type { LogLevel } from "./log.ts";

const clock = { now: () => new Date("2030-01-02T03:04:05.678Z") };
const time = "2030-01-02T03:04:05.678Z";

function collector(least?: LogLevel) {
  const lines: string[] = [];
  return { lines, log: createLog(clock, (line) => lines.push(line), least) };
}

Deno.test("createLog() writes one JSON object for each event, time, level and name first", () => {
  const { lines, log } = collector();
  log.event("info", "member", { node: "n1", count: 2, left: undefined });
  log.event("error", "run-failed");
  assert.deepEqual(lines, [
    `{"time":"${time}","level":"info","event":"member","node":"n1","count":2}`,
    `{"time":"${time}","level":"error","event":"run-failed"}`,
  ]);
});

Deno.test("createLog() keeps every event on one line", () => {
  const { lines, log } = collector();
  log.event("info", "x", { said: 'a\nb\r\n"}\u2028{"event":"forged"' });
  assert.equal(lines.length, 1);
  assert(!/[\n\r]/.test(lines[0] ?? "\n"));
  assert.equal(JSON.parse(lines[0] ?? "")["event"], "x");
});

Deno.test("createLog() drops events below its level", () => {
  const { lines, log } = collector("warn");
  const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
  for (const level of levels) log.with({ a: 1 }).event(level, level);
  assert.deepEqual(lines.map((line) => JSON.parse(line)["event"]), ["warn", "error"]);
});

Deno.test("with() adds fields only to the events of the new log", () => {
  const { lines, log } = collector();
  const inner = log.with({ peer: "p" }).with({ step: "s" });
  inner.event("info", "a");
  log.event("info", "b");
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [
    { time, level: "info", event: "a", peer: "p", step: "s" },
    { time, level: "info", event: "b" },
  ]);
});

Deno.test("errorFields() gives code, sentence, next action, facts and the chain of causes", () => {
  const cause = new Error("middle", { cause: new Error("bottom") });
  const error = new BootstrapError("refused/pcr-4", "PCR 4 differs", { next: "Look", details: { seen: "a" }, cause });
  assert.deepEqual(errorFields(error), {
    code: "refused/pcr-4",
    message: "PCR 4 differs",
    retriable: false,
    next: "Look",
    seen: "a",
    causes: ["middle", "bottom"],
  });
  assert.deepEqual(errorFields(new BootstrapError("timeout/peer", "late")), {
    code: "timeout/peer",
    message: "late",
    retriable: true,
  });
});

Deno.test("errorFields() ends when the causes form a cycle", () => {
  const error = new BootstrapError("system/file", "x");
  const looping = new Error("loop");
  looping.cause = looping;
  assert.deepEqual(
    errorFields(new BootstrapError(error.code, "x", { cause: looping }))["causes"],
    Array(8).fill("loop"),
  );
});

Deno.test("errorFields() and createLog() let no fact of a peer replace their own fields", () => {
  const { lines, log } = collector();
  const details = {
    time: "never",
    level: "info",
    event: "member",
    peer: "10.0.0.1",
    code: "x",
    message: "all is well",
  };
  log.with({ peer: "192.0.2.7" }).event(
    "warn",
    "refused",
    errorFields(new BootstrapError("refused/pcr-4", "no", { details })),
  );
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time,
    level: "warn",
    event: "refused",
    peer: "192.0.2.7",
    code: "refused/pcr-4",
    message: "no",
    retriable: false,
  });
});

Deno.test("silentLog drops every event", () => {
  silentLog.with({ a: 1 }).event("error", "x");
});
