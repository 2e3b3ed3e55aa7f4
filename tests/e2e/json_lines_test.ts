import assert from "node:assert/strict";
import { join } from "node:path";
import { JsonLines } from "./json_lines.ts";

Deno.test("JsonLines.receive() returns the accepted message, and fails when the other side sends none before the deadline", async () => {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-json-lines-" });
  try {
    const path = join(folder, "socket");
    using listener = Deno.listen({ transport: "unix", path });
    const accepted = listener.accept();
    await using lines = await JsonLines.connect(path, 500);
    using other = await accepted;
    await other.write(new TextEncoder().encode('{"skipped":1}\n{"wanted":2}\n'));
    assert.equal(await lines.receive(({ wanted }) => wanted), 2);
    await assert.rejects(lines.receive(({ wanted }) => wanted), /the connection has ended after \d+ s \(slowdown/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
