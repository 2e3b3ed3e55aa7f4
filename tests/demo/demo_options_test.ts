import assert from "node:assert/strict";
import { demoOptions } from "./demo_options.ts";

Deno.test("demoOptions() brings the cluster up when nothing else is asked for", () => {
  assert.deepEqual(demoOptions([]), { action: "up", once: false });
  assert.deepEqual(demoOptions(["--once"]), { action: "up", once: true });
  assert.deepEqual(demoOptions(["--down"]), { action: "down", once: false });
  assert.deepEqual(demoOptions(["-h", "--down"]), { action: "help", once: false });
});

Deno.test("demoOptions() refuses unknown options, and options that exclude each other", () => {
  for (
    const args of [["--twice"], ["up"], ["--once", "--down"], ["--once=yes"], ["--founders", "2"], [
      "--down",
      "--founding",
    ]]
  ) {
    assert.throws(() => demoOptions(args), { code: "usage/demo" }, args.join(" "));
  }
});

Deno.test("demoOptions() founds with three machines, or with as many as it is told", () => {
  assert.deepEqual(demoOptions(["--founding"]), { action: "up", once: false, founders: 3 });
  assert.deepEqual(demoOptions(["--founding", "--founders", "1", "--once"]), { action: "up", once: true, founders: 1 });
  for (const number of ["0", "4", "1.0", "", "x"]) {
    assert.throws(() => demoOptions(["--founding", `--founders=${number}`]), { code: "usage/demo" }, number);
  }
});
