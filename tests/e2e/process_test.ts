import assert from "node:assert/strict";
import { join } from "node:path";
import { isAlive, killProcess, startProcess, thisProcess } from "./process.ts";
import { waitUntil } from "./wait_until.ts";

const deadlineMs = 10_000;
const keepRunning = false;

Deno.test("killProcess() ends the process and waits for it, but leaves a later process with its number alone", async () => {
  await inFolder(async (cwd) => {
    const process = await startProcess(["sh", "-c", "echo started; sleep 1000"], {
      log: join(cwd, "log"),
      cwd,
      keepRunning,
    });
    const output = () => Deno.readTextFile(join(cwd, "log")).catch(() => "");
    await waitUntil({ what: "output", deadlineMs }, async () => (await output()).includes("started"));
    await killProcess({ ...process, startTime: "1" });
    assert.equal(await isAlive(process), true);
    await killProcess(process);
    assert.equal(await isAlive(process), false);
    await process.ended;
  });
});

Deno.test("startProcess() ties a process to this one: it ends when this one is killed", async () => {
  await inFolder(async (cwd) => {
    const module = new URL("./process.ts", import.meta.url).href;
    const code = `
      import { startProcess } from "${module}";
      const { pid, startTime } = await startProcess(["sleep", "1000"], { log: "log", cwd: "${cwd}", keepRunning: false });
      console.log(JSON.stringify({ pid, startTime }));
      setInterval(() => {}, 1000);`;
    const args = ["eval", "--quiet", "--no-lock", code];
    const parent = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "null" }).spawn();
    const reader = parent.stdout.getReader();
    const { value } = await reader.read();
    const child = JSON.parse(new TextDecoder().decode(value));
    assert.equal(await isAlive(child), true);
    parent.kill("SIGKILL");
    await waitUntil({ what: "end of the child", deadlineMs }, async () => !await isAlive(child));
    await reader.cancel();
    await parent.status;
  });
});

Deno.test("thisProcess() is alive", async () => {
  assert.equal(await isAlive(await thisProcess()), true);
});

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-process-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
