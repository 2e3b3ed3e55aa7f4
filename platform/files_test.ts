import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromUtf8, utf8 } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";
import {
  createFileExclusive,
  ensureFolder,
  exists,
  fileMode,
  readFile,
  readFileIfExists,
  removeIfExists,
  removeTemporaries,
  renameFolder,
  stageFile,
  syncFile,
  writeFileAtomic,
} from "./files.ts";

const MODE = { mode: 0o600 };
const LIMIT = 1 << 20;

/** Registers a test that has its own folder. */
function folderTest(name: string, run: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "files-" });
    try {
      await run(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const namesIn = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
const textOf = async (path: string) => fromUtf8(await readFile(path, LIMIT), path);

folderTest("writeFileAtomic() makes and replaces a file, with its mode, and leaves nothing else", async (folder) => {
  const path = join(folder, "a");
  await writeFileAtomic(path, utf8("one"), { mode: 0o644 });
  assert.deepEqual([await textOf(path), await modeOf(path)], ["one", 0o644]);
  await writeFileAtomic(path, new Uint8Array(), MODE);
  assert.deepEqual([await textOf(path), await modeOf(path)], ["", 0o600]);
  assert.deepEqual(await namesIn(folder), ["a"]);
});

folderTest("writeFileAtomic() sets the mode whatever the umask is", async (folder) => {
  await writeFileAtomic(join(folder, "a"), utf8("x"), { mode: 0o666 });
  assert.equal(await modeOf(join(folder, "a")), 0o666);
});

folderTest("writeFileAtomic() leaves the old file unchanged when it fails, and names the path", async (folder) => {
  const path = join(folder, "a");
  await Deno.mkdir(join(path, "inside"), { recursive: true });
  for (const target of [path, join(folder, "none", "a")]) {
    await assert.rejects(writeFileAtomic(target, utf8("x"), MODE), (error: unknown) => {
      assert(error instanceof BootstrapError);
      return error.code === "system/file" && error.details["path"] === target && error.message.includes(target);
    });
  }
  assert.deepEqual(await namesIn(folder), ["a"]);
});

folderTest("writeFileAtomic() leaves the old bytes or the new ones when it is killed", async (folder) => {
  const path = join(folder, "a");
  const length = 1 << 18;
  const files = new URL("./files.ts", import.meta.url).href;
  const script = `
    import { writeFileAtomic } from "${files}";
    for (let i = 0;; i++) {
      const bytes = new Uint8Array(${length}).fill(97 + i % 26);
      await writeFileAtomic(${JSON.stringify(path)}, bytes, { mode: 0o600 });
      console.log(i);
    }`;
  for (let round = 0; round < 5; round++) {
    const writer = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", "--config", fileURLToPath(new URL("../deno.json", import.meta.url)), script],
      stdout: "piped",
    }).spawn();
    const output = writer.stdout.getReader();
    for (let heard = 0; heard <= round; heard++) await output.read();
    writer.kill("SIGKILL");
    await writer.status;
    await output.cancel();
    const bytes = await readFile(path, length);
    assert.equal(bytes.length, length);
    assert(bytes.every((byte) => byte === bytes[0]), "a torn file");
  }
  await removeTemporaries(path);
  assert.deepEqual(await namesIn(folder), ["a"]);
});

folderTest("createFileExclusive() creates a file once, however many callers try", async (folder) => {
  const path = join(folder, "a");
  const contenders = Array.from({ length: 8 }, (_, i) => createFileExclusive(path, utf8(`${i}`), MODE));
  const won = await Promise.all(contenders);
  assert.equal(won.filter(Boolean).length, 1);
  assert.equal(await textOf(path), String(won.indexOf(true)));
  assert.deepEqual(await namesIn(folder), ["a"]);
});

folderTest("stageFile() writes a file that has no name before link()", async (folder) => {
  const path = join(folder, "a");
  const staged = await stageFile(path, utf8("x"), MODE);
  assert(!await exists(path));
  assert(await staged.link());
  assert.equal(await textOf(path), "x");
  const late = await stageFile(path, utf8("y"), MODE);
  assert(!await late.link());
  const dropped = await stageFile(path, utf8("z"), MODE);
  await dropped.discard();
  assert.equal(await textOf(path), "x");
  assert.deepEqual(await namesIn(folder), ["a"]);
});

folderTest("removeTemporaries() removes what killed writers of that file left, and nothing else", async (folder) => {
  await stageFile(join(folder, "a"), utf8("x"), MODE);
  const others = ["a", ".a.tmp", ".a.0123456789abcdef.tmp.old", ".b.0123456789abcdef.tmp", "a.0123456789abcdef.tmp"];
  for (const name of others) await Deno.writeTextFile(join(folder, name), "");
  await removeTemporaries(join(folder, "a"));
  assert.deepEqual(await namesIn(folder), others.toSorted());
});

folderTest("readFileIfExists() returns a file up to the limit, and undefined if there is none", async (folder) => {
  const path = join(folder, "a");
  assert.equal(await readFileIfExists(path, 3), undefined);
  await Deno.writeTextFile(path, "abc");
  assert.deepEqual(await readFileIfExists(path, 3), utf8("abc"));
  await assert.rejects(readFileIfExists(path, 2), { code: "malformed/size", message: /larger than 2 bytes/ });
  await assert.rejects(readFileIfExists(folder, 3), { code: "system/file" });
});

folderTest("readFile() names a file that does not exist", async (folder) => {
  await assert.rejects(readFile(join(folder, "a"), 3), { code: "system/file", message: /no such file/ });
});

folderTest("ensureFolder() creates a folder with its parents, and accepts an existing one", async (folder) => {
  const path = join(folder, "a", "b", "c");
  await ensureFolder(path, 0o700);
  await ensureFolder(path, 0o700);
  assert.deepEqual([await modeOf(join(folder, "a")), await modeOf(path)], [0o700, 0o700]);
});

folderTest("ensureFolder() names a path that cannot be a folder", async (folder) => {
  await Deno.writeTextFile(join(folder, "a"), "");
  await assert.rejects(ensureFolder(join(folder, "a")), { code: "system/file", message: /Cannot make/ });
  await assert.rejects(ensureFolder(join(folder, "a", "b")), { code: "system/file" });
});

folderTest("a reason in our words is true of what is there", async (folder) => {
  const path = (...names: readonly string[]) => join(folder, ...names);
  const root = path("file");
  await Deno.writeTextFile(root, "");
  await Deno.symlink(path("nothing"), path("dangling"));
  const bytes = utf8("x");
  const cases: readonly (readonly [work: () => Promise<unknown>, message: RegExp, next: RegExp])[] = [
    [() => readFileIfExists(folder, 3), /as it is a folder$/, /^Name a file$/],
    [() => writeFileAtomic(folder, bytes, { mode: 0o600 }), /as it is a folder$/, /^Name a file, or move the folder/],
    [() => readFileIfExists(path("file", "x"), 3), /part of the path is a file/, /^Check the path/],
    [() => writeFileAtomic(path("file", "x"), bytes, { mode: 0o600 }), /part of the path is a file/, /^Check the path/],
    [() => ensureFolder(root), /something else than a folder is in its place$/, /move away what is there$/],
    [() => ensureFolder(path("dangling")), /something else than a folder is in its place$/, /move away what is there$/],
    [() => writeFileAtomic(path("none", "x"), bytes, { mode: 0o600 }), /: the folder \S+none does not exist$/, /^Make/],
    [() => renameFolder(path("none"), path("other")), /as there is no such folder$/, /^Check the path$/],
    [() => removeTemporaries(path("none", "x")), /Cannot clean up \S+none as there is no such folder$/, /^Check/],
    [() => fileMode(path("none")), /Cannot look at \S+none as there is no such file$/, /^Check the path$/],
  ];
  for (const [work, message, next] of cases) await assert.rejects(work(), { code: "system/file", message, next });
});

folderTest("a staged file that was removed is not blamed on its folder", async (folder) => {
  const staged = await stageFile(join(folder, "a"), utf8("x"), { mode: 0o600 });
  for (const name of await namesIn(folder)) await Deno.remove(join(folder, name));
  await assert.rejects(staged.link(), (error) => error instanceof Error && !/does not exist/.test(error.message));
});

folderTest("exists() is true for anything at the path, even a dangling link", async (folder) => {
  assert(!await exists(join(folder, "a")));
  await Deno.symlink(join(folder, "nothing"), join(folder, "a"));
  assert(await exists(join(folder, "a")));
  assert(await exists(folder));
});

folderTest("removeIfExists() removes a folder with its contents, and accepts a missing one", async (folder) => {
  await ensureFolder(join(folder, "a", "b"));
  await Deno.writeTextFile(join(folder, "a", "b", "c"), "");
  await removeIfExists(join(folder, "a"));
  await removeIfExists(join(folder, "a"));
  assert.deepEqual(await namesIn(folder), []);
});

folderTest("syncFile() names a file that does not exist", async (folder) => {
  await Deno.writeTextFile(join(folder, "a"), "");
  await syncFile(join(folder, "a"));
  await assert.rejects(syncFile(join(folder, "b")), { code: "system/file", message: /Cannot sync/ });
});
