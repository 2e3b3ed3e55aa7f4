import assert from "node:assert/strict";
import { join } from "node:path";
import { cached } from "./cached.ts";

const deadlineMs = 30_000;

Deno.test("cached() builds once and returns a folder named after the recipe", async () => {
  await inEmptyCache(async (cache) => {
    let builds = 0;
    const build = async ({ folder }: { folder: string }) => {
      builds++;
      await Deno.writeTextFile(join(folder, "result"), "made");
    };
    const first = await cached("thing", { version: 1, flags: ["a"] }, build, cache);
    const again = await cached("thing", { flags: ["a"], version: 1 }, build, cache);
    const other = await cached("thing", { version: 2, flags: ["a"] }, build, cache);
    assert.equal(first, again);
    assert.notEqual(first, other);
    assert.match(first, new RegExp(`^${cache}/thing-[0-9a-f]{16}$`));
    assert.equal(await Deno.readTextFile(join(first, "result")), "made");
    assert.equal(builds, 2);
  });
});

Deno.test("cached() keeps nothing of a build that throws", async () => {
  await inEmptyCache(async (cache) => {
    const failing = cached("thing", 1, async ({ folder }) => {
      await Deno.writeTextFile(join(folder, "half"), "");
      throw new Error("disk on fire");
    }, cache);
    await assert.rejects(failing, /disk on fire/);
    assert.deepEqual(await entries(cache, "thing"), []);
    assert.deepEqual(await entries(join(cache, "tmp"), "thing"), []);
  });
});

Deno.test("cached() removes folders that were unused for an hour when it builds the same name again", async () => {
  await inEmptyCache(async (cache) => {
    const old = await cached("thing", 1, () => Promise.resolve(), cache);
    const recent = await cached("thing", 2, () => Promise.resolve(), cache);
    const otherName = await cached("thing-other", 1, () => Promise.resolve(), cache);
    const yesterday = new Date(Date.now() - 24 * 60 * 60 * 1000);
    for (const folder of [old, otherName]) await Deno.utime(folder, yesterday, yesterday);
    await cached("thing", 3, () => Promise.resolve(), cache);
    await assert.rejects(Deno.stat(old), Deno.errors.NotFound);
    await Deno.stat(recent);
    await Deno.stat(otherName);
  });
});

Deno.test("cached() in two processes at once builds once", async () => {
  await inEmptyCache(async (cache) => {
    const outputs = await Promise.all([start(cache, "go").output(), start(cache, "go").output()]);
    for (const output of outputs) assert.equal(new TextDecoder().decode(output.stderr), "");
    const [first, second] = outputs.map((output) => new TextDecoder().decode(output.stdout).trim());
    assert.equal(first, second);
    assert.equal(await Deno.readTextFile(join(cache, "builds")), "built\n");
  });
});

Deno.test("cached() starts over after kill -9 in the middle of a build", async () => {
  await inEmptyCache(async (cache) => {
    const killed = start(cache, "hang").spawn();
    await until(async () =>
      (await entries(join(cache, "tmp"), "thing")).length > 0 && await exists(join(cache, "builds"))
    );
    killed.kill("SIGKILL");
    await killed.output();
    assert.deepEqual(await entries(cache, "thing"), []);
    const output = await start(cache, "go").output();
    const folder = new TextDecoder().decode(output.stdout).trim();
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name), ["result"]);
    assert.deepEqual(await entries(join(cache, "tmp"), "thing"), []);
  });
});

/** A process that calls `cached("thing", …)`. With "hang" its build never ends. */
function start(cache: string, mode: "go" | "hang"): Deno.Command {
  const module = new URL("./cached.ts", import.meta.url).href;
  const code = `
    import { cached } from "${module}";
    const folder = await cached("thing", "recipe", async ({ folder }) => {
      await Deno.writeTextFile(folder + "/" + ("${mode}" === "go" ? "result" : "half"), "");
      await Deno.writeTextFile("${cache}/builds", "built\\n", { append: true });
      if ("${mode}" === "hang") await new Promise((resolve) => setTimeout(resolve, ${10 * deadlineMs}));
    });
    await Deno.stdout.write(new TextEncoder().encode(folder));`;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", code],
    env: { BOOTSTRAPPER_CACHE: cache },
    stdout: "piped",
    stderr: "piped",
  });
}

async function inEmptyCache(test: (cache: string) => Promise<void>): Promise<void> {
  const cache = await Deno.makeTempDir({ prefix: "bootstrapper-cached-" });
  try {
    await test(cache);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

async function entries(folder: string, prefix: string): Promise<string[]> {
  const all = await Array.fromAsync(Deno.readDir(folder));
  return all.map((entry) => entry.name).filter((name) => name.startsWith(prefix));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition().catch(() => false))) {
    assert.ok(Date.now() < deadline, "the condition did not hold in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
