import assert from "node:assert/strict";
import { join } from "node:path";
import { capture, run } from "./run.ts";

Deno.test("run() keeps the terminal quiet, and shows the log's name and end when the command fails", async () => {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-run-" });
  const log = join(folder, "logs/one.log");
  try {
    await run(["sh", "-c", "echo fine"], { log });
    const failing = run(["sh", "-c", "echo $GREETING; pwd; echo to stderr >&2; exit 7"], {
      log,
      cwd: folder,
      env: { GREETING: "hello" },
    });
    await assert.rejects(failing, (error: Error) => {
      for (const part of ["exit code 7", log, "hello", folder, "to stderr"]) {
        assert.ok(error.message.includes(part), part);
      }
      return true;
    });
    assert.match(await Deno.readTextFile(log), /fine/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("capture() returns a command's standard output, and throws its standard error", async () => {
  assert.equal(await capture(["printf", "a\\nb\\n\\n"]), "a\nb");
  await assert.rejects(capture(["sh", "-c", "echo broken >&2; exit 1"]), /exit code 1.*broken/s);
});
