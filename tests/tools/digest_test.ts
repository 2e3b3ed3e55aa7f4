import assert from "node:assert/strict";
import { join } from "node:path";
import { digestOfFile, listOfFiles } from "./digest.ts";

const digestOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Deno.test("listOfFiles() lists names, modes and digests, and refuses anything but files and folders", async () => {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-digest-" });
  try {
    await Deno.mkdir(join(folder, "b"));
    await Deno.writeTextFile(join(folder, "b/c"), "abc", { mode: 0o600 });
    await Deno.writeTextFile(join(folder, "a"), "abc", { mode: 0o755 });
    assert.equal(await digestOfFile(join(folder, "a")), digestOfAbc);
    assert.deepEqual(await listOfFiles(folder), [`a 755 ${digestOfAbc}`, `b/c 600 ${digestOfAbc}`]);
    await Deno.symlink("a", join(folder, "link"));
    await assert.rejects(listOfFiles(folder), /neither a file nor a folder/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
