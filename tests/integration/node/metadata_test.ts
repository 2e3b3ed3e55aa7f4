/** Metadata from services at the real address, link-local, with a proxy in the environment. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { machineMetadata } from "../../../node/metadata/metadata.ts";
import { inside, startHolder } from "../../_world_process.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { proxied } from "./_surroundings.ts";

const script = fileURLToPath(new URL("_metadata_machine.ts", import.meta.url));

Deno.test(`${machineMetadata.name}() asks at 169.254.169.254, by no proxy, a service that starts later too`, async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "metadata-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const holder = stack.use(await startHolder(["--mount", "--net", "--uts"]));
  const spawn = (argv: readonly string[]) => {
    const [command, ...args] = inside(holder, argv);
    return new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
  };
  const up = "ip link set lo up && ip address add 169.254.169.254/32 dev lo";
  assert.ok((await spawn(["sh", "-ec", up]).output()).success);
  const read = (source: string) => proxied(() => spawn([...DENO_RUN, script, "read", folder, source]));
  const textOf = async (reading: Deno.ChildProcess) => new TextDecoder().decode((await reading.output()).stdout);
  const early = read("ec2");
  const serving = spawn([...DENO_RUN, script, "serve"]);
  stack.defer(async () => {
    await holder[Symbol.asyncDispose]();
    await serving.status;
  });
  await serving.stdout.cancel();
  assert.deepEqual(JSON.parse(await textOf(early)), {
    name: "ip-10-77-0-21.ec2.internal",
    address: "10.77.0.21",
    role: "control-plane",
    endpoints: "10.77.0.11:9444 dns:join.example.org:9444",
  });
  assert.equal(JSON.parse(await textOf(read("openstack"))).address, "10.77.0.22");
});
