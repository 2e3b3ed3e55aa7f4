import assert from "node:assert/strict";
import { demoOptions } from "./demo_options.ts";

Deno.test("demoOptions() brings the cluster up when nothing else is asked for", () => {
  assert.deepEqual(demoOptions([]), { action: "up", once: false });
  assert.deepEqual(demoOptions(["--once"]), { action: "up", once: true });
  assert.deepEqual(demoOptions(["--down"]), { action: "down", once: false });
  assert.deepEqual(demoOptions(["-h", "--down"]), { action: "help", once: false });
});

Deno.test("demoOptions() refuses unknown options, and options that exclude each other", () => {
  for (const args of [["--twice"], ["up"], ["--once", "--down"], ["--once=yes"]]) {
    assert.throws(() => demoOptions(args), { code: "usage/demo" }, args.join(" "));
  }
});
