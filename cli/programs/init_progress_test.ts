import assert from "node:assert/strict";
import { ProgressEvent } from "../../proto/gen/bootstrapper.ts";
import { WARNING_PREFIX } from "../../protocol/init_steps.ts";
import type { OutputForm } from "../context.ts";
import { progressPrinter } from "./init_progress.ts";

const clock = {
  now: () => new Date(Date.UTC(2026, 0, 1)),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
};
const REFUSED = "try 1 failed: refused with 500; next try in 0.3 s";
const EVENTS = [["access", "started", ""], ["access", "waiting", REFUSED], ["access", "done", ""]] as const;
const WARNING = `${WARNING_PREFIX}Swap: swap is on`;
const WARNED = [["preflight", "started", ""], ["preflight", "detail", WARNING], [
  "preflight",
  "detail",
  "disk",
]] as const;

type Events = readonly (readonly [phase: string, state: string, detail: string])[];

interface Wanted {
  readonly form?: OutputForm;
  readonly hasColours?: boolean;
}

/** Returns the output for events; by default those of a step that fails once. */
function printed(
  isTerminal: boolean,
  events: Events = EVENTS,
  { form = "text", hasColours = false }: Wanted = {},
): string {
  let out = "";
  const terminal = {
    isTerminal,
    isErrorTerminal: isTerminal,
    hasColours,
    columns: 200,
    askSecret: () => assert.fail(),
    confirm: () => assert.fail(),
    ask: () => assert.fail(),
    canAsk: false,
  };
  using printer = progressPrinter({
    print: (text) => out += text,
    printJson: (value) => out += `${JSON.stringify(value)}\n`,
    terminal,
    clock,
  }, form);
  for (const [index, [phase, state, detail]] of events.entries()) {
    printer.progress(ProgressEvent.fromPartial({ number: index + 1, phase, state, detail, durationMs: 5n }));
  }
  return out;
}

Deno.test("progressPrinter() shows each failed try on a terminal as a permanent line", () => {
  // deno-lint-ignore no-control-regex -- what steers the terminal is looked at too
  const lines = printed(true).split(/\r\u001b\[K/).filter((line) => line.endsWith("\n"));
  assert.deepEqual(lines, [`! access           ${REFUSED}\n`, "✓ access              0.0 s\n"]);
});

Deno.test("progressPrinter() shows a warning of kubeadm on a terminal as a permanent line, and other details in passing", () => {
  // deno-lint-ignore no-control-regex -- what steers the terminal is looked at too
  const lines = printed(true, WARNED).split(/\r\u001b\[K/).filter((line) => line.endsWith("\n"));
  assert.deepEqual(lines, [`! preflight        ${WARNING}\n`]);
});

Deno.test("progressPrinter() gives programs each failed try as an event without a duration", () => {
  const lines = printed(false, EVENTS, { form: "json" }).trim().split("\n").map((line) => JSON.parse(line));
  const time = clock.now().toISOString();
  assert.deepEqual(lines[1], {
    time,
    event: "progress",
    number: 2,
    phase: "access",
    state: "waiting",
    detail: REFUSED,
  });
  assert.equal(lines[2].durationMs, 5);
});

Deno.test("progressPrinter() prints whole lines of text, and no control codes, where the text goes to a pipe", () => {
  const lines = ["… access", `! access           ${REFUSED}`, "✓ access              0.0 s", ""];
  assert.equal(printed(false, EVENTS, { hasColours: true }), lines.join("\n"));
  const failed = printed(false, [["lock", "started", ""], ["lock", "detail", "passing"], [
    "lock",
    "failed",
    "a\u001b[2Jb",
  ]]);
  assert.equal(failed, "… lock\n✗ lock                0.0 s  a [2Jb\n");
});

Deno.test("progressPrinter() colours its marks on a terminal, if colours are wanted", () => {
  assert.ok(printed(true, EVENTS, { hasColours: true }).includes("\u001b[32m✓\u001b[0m access"));
  assert.ok(!printed(true).includes("\u001b[32m"));
});
