import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { systemCommands } from "../platform/command.ts";
import { nodePaths } from "./paths.ts";
import type { NodeCheckFacts } from "./preflight.ts";
import { swapsOf } from "./swaps.ts";
import { failedChecks, neededPorts, nodeChecks } from "./preflight.ts";

const noPrograms: CommandRunner = { run: () => Promise.reject(new Error("no such program")) };

async function failuresOf(root: string, facts: Partial<NodeCheckFacts> = {}) {
  const checks = nodeChecks({
    paths: nodePaths(root),
    clock: systemClock,
    commands: noPrograms,
    unmeasured: [],
    allowUnmeasuredImage: false,
    ports: [],
    ...facts,
  });
  return await failedChecks(checks);
}

async function withRoot(work: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await work(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("nodeChecks() passes on a machine with nothing on it", () =>
  withRoot(async (root) => assert.deepEqual(await failuresOf(root), [])));

Deno.test("nodeChecks() refuses a machine whose swap is on, and names the swap", () =>
  withRoot(async (root) => {
    await Deno.mkdir(join(root, "proc"));
    const header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    const path = join(root, "proc/swaps");
    await Deno.writeTextFile(path, header);
    const commands: CommandRunner = {
      run: (argv, options) =>
        argv[0] === "cat" ? systemCommands.run(argv, options) : Promise.reject(new Error("no such program")),
    };
    assert.deepEqual(await failuresOf(root, { commands }), []);
    await Deno.writeTextFile(path, `${header}/swap.img                               file\t\t4194300\t\t0\t\t-2\n`);
    const [failed] = await failuresOf(root, { commands });
    assert.equal(failed?.check, "swap");
    assert.match(failed?.reason ?? "", /swap is on \(\/swap\.img\)/);
    assert.deepEqual(swapsOf("/swap.img file 4194300 0 -2\n"), []);
  }));

Deno.test("nodeChecks() refuses a machine on which another program has a port that the node needs", () =>
  withRoot(async (root) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const [failed] = await failuresOf(root, { ports: [port] });
    assert.deepEqual([failed?.check, failed?.reason.includes(`port ${port} is in use`)], ["ports", true]);
  }));

Deno.test("nodeChecks() refuses a machine without the image of containerd's sandboxes", () =>
  withRoot(async (root) => {
    const commands: CommandRunner = {
      run: ([program]) =>
        Promise.resolve({
          code: 0,
          stderr: "",
          stdout: program === "cat"
            ? ""
            : program === "containerd"
            ? "sandbox_image = 'registry.k8s.io/pause:3.8'\n"
            : '{"images": []}',
        }),
    };
    assert.deepEqual(await failuresOf(root, { commands }), [], "containerd has no configuration there");
    await Deno.mkdir(join(root, "etc/containerd"), { recursive: true });
    await Deno.writeTextFile(join(root, "etc/containerd/config.toml"), "version = 3\n");
    const [failed] = await failuresOf(root, { commands });
    assert.equal(failed?.check, "sandbox-image");
  }));

Deno.test("neededPorts() names the join service's port, the API server's and etcd's for a control plane", () => {
  assert.deepEqual(neededPorts("worker", 9444), [10_250]);
  assert.deepEqual(neededPorts("control-plane", 9444), [10_250, 6443, 2379, 2380, 10_257, 10_259, 9444]);
});
