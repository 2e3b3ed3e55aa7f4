/** Discovery by a real name server, whose answers change. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { followAddresses } from "../../../founding/discovery.ts";
import { inside, startHolder } from "../../_world_process.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";

const PATIENCE_MS = 90_000;
const NAME = "founders.example.internal";
const script = fileURLToPath(new URL("_follow_addresses.ts", import.meta.url));

/** Lines of a process, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

Deno.test(`${followAddresses.name}() follows a name server: not there yet, addresses of both families that come and go, an outage`, async () => {
  const { dir } = await prepareBinaries();
  const folder = await Deno.makeTempDir({ prefix: "dns-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  await Deno.writeTextFile(path("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  await Deno.writeTextFile(path("nsswitch.conf"), "hosts: files dns\n");
  await Deno.writeTextFile(path("zone"), "");
  await Deno.writeTextFile(
    path("Corefile"),
    `.:53 {\n  bind 127.0.0.1\n  hosts ${path("zone")} {\n    ttl 1\n    reload 200ms\n    no_reverse\n  }\n}\n`,
  );
  const holder = stack.use(await startHolder(["--mount", "--net", "--uts"]));
  const run = async (...argv: string[]) => {
    const [command, ...args] = inside(holder, argv);
    const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const spawn = (argv: readonly string[], stdout: "piped" | "null") => {
    const [command, ...args] = inside(holder, argv);
    return new Deno.Command(command, { args, stdin: "null", stdout, stderr: "null" }).spawn();
  };
  const mounts = ["resolv.conf", "nsswitch.conf"].map((name) => `mount --bind ${path(name)} /etc/${name}`);
  await run("sh", "-ec", ["ip link set lo up", ...mounts].join("\n"));
  // Its process ID is that of the namespace: nsenter stands between.
  const command = `echo $$ > ${path("pid")}; exec ${join(dir, "coredns")} -conf ${path("Corefile")}`;
  const startDns = () => spawn(["sh", "-c", command], "null");
  const follower = spawn([...DENO_RUN, script, NAME], "piped");
  stack.defer(async () => void await follower.status);
  stack.defer(() => holder[Symbol.asyncDispose]());

  const seen: string[] = [];
  const lines = linesOf(follower.stdout);
  const until = async (isIt: (line: string) => boolean, what: string) => {
    const late = setTimeout(() => follower.kill("SIGKILL"), PATIENCE_MS);
    for (;;) {
      const { done, value = "" } = await lines.next();
      if (done) assert.fail(`not ${what} in time: ${seen.join(" ")}`);
      seen.push(value);
      if (!isIt(value)) continue;
      clearTimeout(late);
      return value;
    }
  };
  const addresses = (...list: string[]) => until((line) => line === JSON.stringify(list), `at ${list.join()}`);
  const serve = async (...list: string[]) => {
    // The file is replaced at once: half a list is no answer.
    await Deno.writeTextFile(path("zone.new"), list.map((address) => `${address} ${NAME}\n`).join(""));
    await Deno.rename(path("zone.new"), path("zone"));
  };
  await addresses();
  await until((line) => line.includes('"founders-not-resolved"'), "without a name server");
  let dns = startDns();
  await serve("10.77.0.11", "fd00:77::12");
  await addresses("10.77.0.11", "fd00:77::12");
  await serve("10.77.0.12", "10.77.0.13", "fd00:77::12");
  await addresses("10.77.0.12", "10.77.0.13", "fd00:77::12");
  await run("kill", "-9", (await Deno.readTextFile(path("pid"))).trim());
  await dns.status;
  const outage = await until((line) => line.includes('"founders-not-resolved"'), "an outage");
  assert.deepEqual(JSON.parse(outage).addresses, ["10.77.0.12", "10.77.0.13", "fd00:77::12"]);
  dns = startDns();
  await serve("10.77.0.13");
  await addresses("10.77.0.13");
});
