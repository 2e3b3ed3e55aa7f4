import assert from "node:assert/strict";
import { bootingRow } from "./node_row.ts";
import { Screen } from "./screen.ts";

/** A screen of that width, or without a terminal, with its output so far and a clock that the test sets. */
function screenOf(columns: number | undefined) {
  const world = { written: "", nowMs: 0 };
  const screen = new Screen({
    write: (text) => void (world.written += text),
    columns: () => columns,
    nowMs: () => world.nowMs,
  });
  return { world, screen };
}

/**
 * What a terminal shows after this output. It interprets "cursor up", "erase below", carriage return and line feed.
 */
function shownOn(written: string): string[] {
  const lines = [""];
  let at = 0;
  // deno-lint-ignore no-control-regex -- this function interprets the terminal's control characters.
  for (const part of written.split(/(\u001b\[\d*[AJ]|\n|\r)/)) {
    if (part.endsWith("A")) at -= Number(part.slice(2, -1));
    else if (part.endsWith("J")) lines.splice(at, lines.length, "");
    else if (part === "\n") lines[++at] ??= "";
    else if (part !== "\r") lines[at] += part;
  }
  return lines;
}

const booting = bootingRow("node-1", "10.77.0.11");

Deno.test("Screen redraws the table and the step in place when the output is a terminal", () => {
  const { world, screen } = screenOf(80);
  screen.begin("boot");
  screen.show([booting]);
  world.nowMs = 12_000;
  screen.show([{ ...booting, state: "racing" }]);
  assert.deepEqual(shownOn(world.written), [
    "",
    "NODE    ADDRESS     STATE   PHASE  TIME  KUBERNETES",
    "node-1  10.77.0.11  racing  –            –",
    "",
    "  12 s … boot",
    "",
  ]);
});

Deno.test("Screen writes the steps that have ended above the table", () => {
  const { world, screen } = screenOf(80);
  screen.begin("one");
  screen.show([booting]);
  world.nowMs = 2_000;
  screen.end(true);
  screen.begin("two");
  screen.end(false);
  screen.leave();
  screen.say("the end\n");
  assert.deepEqual(shownOn(world.written), [
    "   2 s ✓ one",
    "   0 s ✗ two",
    "",
    "NODE    ADDRESS     STATE    PHASE  TIME  KUBERNETES",
    "node-1  10.77.0.11  booting  –            –",
    "",
    "the end",
    "",
  ]);
});

Deno.test("Screen truncates lines that the terminal would wrap", () => {
  const { world, screen } = screenOf(20);
  screen.begin("a step with a long title");
  screen.show([booting]);
  assert.ok(shownOn(world.written).every((line) => line.length < 20));
});

Deno.test("Screen writes one plain line for each change when the output is no terminal", () => {
  const { world, screen } = screenOf(undefined);
  screen.begin("boot");
  screen.show([booting]);
  screen.show([booting]);
  world.nowMs = 12_000;
  screen.show([{ ...booting, state: "racing" }]);
  screen.tick();
  world.nowMs = 25_000;
  screen.show([{ ...booting, state: "racing" }]);
  screen.tick();
  screen.tick();
  screen.end(true);
  screen.leave();
  assert.equal(
    world.written,
    "   0 s … boot\n   0 s   node-1  booting\n  12 s   node-1  racing\n  25 s … boot\n  25 s ✓ boot\n",
  );
});
