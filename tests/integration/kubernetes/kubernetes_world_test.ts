import assert from "node:assert/strict";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { World } from "../../world.ts";

const POLLS = 200;

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = POLLS; !await holds(); left--) {
    assert.ok(left > 0, what);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function interfaces(): Promise<string> {
  const { stdout } = await new Deno.Command("ip", { args: ["-brief", "addr"] }).output();
  return new TextDecoder().decode(stdout);
}

/** The processes whose command line contains a text. */
async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(text)) found.push(Number(name));
  }
  return found;
}

Deno.test("World gives nodes a network and a disk of their own", async () => {
  await using world = await World.create();
  const a = await world.node("a");
  const b = await world.node("b");
  assert.equal((await a.run(["hostname"])).output.trim(), "a");
  await a.write("/var/lib/bootstrapper/file", "from outside");
  assert.equal((await a.run(["cat", "/var/lib/bootstrapper/file"])).output, "from outside");
  assert.notEqual((await b.run(["cat", "/var/lib/bootstrapper/file"])).code, 0);

  const server = Deno.serve({ hostname: world.operatorAddress, port: 0, onListen() {} }, () => new Response("hello"));
  const url = `http://${world.operatorAddress}:${server.addr.port}/`;
  for (const node of [a, b]) {
    const script = `console.log(await (await fetch("${url}")).text())`;
    assert.match((await node.run([Deno.execPath(), "eval", script])).output, /hello/);
  }
  await server.shutdown();
});

Deno.test("WorldNode.kill() also ends the processes that a program started, and powerOff() ends all and keeps the disk", async () => {
  await using world = await World.create();
  const node = await world.node("a");
  const marker = `sleep 86${Deno.pid}`;
  const shell = () => node.start(["sh", "-c", `${marker} & echo started > /var/lib/bootstrapper/started; wait`]);
  const pattern = marker.replace(" ", "\0");
  const started = () => node.read("/var/lib/bootstrapper/started").then(() => true, () => false);

  const first = shell();
  await eventually("the shell did not start", started);
  await first.kill();
  assert.notEqual((await first.ended).code, 0);
  await eventually("a child survived kill()", async () => (await processesWith(pattern)).length === 0);

  const second = shell();
  await eventually("the shell did not start", async () => (await processesWith(pattern)).length > 0);
  await node.powerOff();
  await second.ended;
  assert.deepEqual(await processesWith(pattern), []);
  await node.powerOn();
  assert.equal((await node.run(["cat", "/var/lib/bootstrapper/started"])).output, "started\n");
});

Deno.test("World leaves no process and no network behind when the test is killed", async () => {
  const { dir } = await prepareBinaries();
  const marker = `sleep 87${Deno.pid}`;
  const script = `
    import { World } from ${JSON.stringify(new URL("../../world.ts", import.meta.url).href)};
    const world = await World.create({ binaries: ${JSON.stringify(dir)} });
    const node = await world.node("a");
    node.start(["setsid", "sh", "-c", "${marker} & wait"]);
    console.log(world.operatorAddress);
    await new Promise(() => setInterval(() => {}, 1000));
  `;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, script);
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "--cached-only", `--config=${config}`, path],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const address = (await reader.read()).value?.trim() ?? "";
  assert.match(address, /^10\./);
  const pattern = marker.replace(" ", "\0");
  await eventually("the program did not start", async () => (await processesWith(pattern)).length > 0);
  assert.ok((await interfaces()).includes(`${address}/24`));
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await eventually("a process is left", async () => (await processesWith(pattern)).length === 0);
  await eventually("the network is left", async () => !(await interfaces()).includes(`${address}/24`));
  await Deno.remove(path);
});
