import assert from "node:assert/strict";
import { prepareImage } from "./prepare_image.ts";

Deno.test("prepareImage() refuses a path that debugfs would misread", async () => {
  for (const target of ["relative", "/with space", "/etc/\nrm /etc/passwd", "/", "", "/etc/../passwd", "/etc/."]) {
    await assert.rejects(prepareImage({ files: [{ target, mode: 0o644, content: "" }] }), /plain absolute path/);
  }
});
