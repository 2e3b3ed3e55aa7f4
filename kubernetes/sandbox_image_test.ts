import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import type { CommandResult, CommandRunner } from "../platform/command.ts";
import { parseSandboxImage, sandboxImageProblems } from "./sandbox_image.ts";

const VERSION_3 = `version = 3
[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10.1'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    sandboxer = 'podsandbox'
`;
const VERSION_2 = `version = 2
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.k8s.io/pause:3.8"
`;

Deno.test("parseSandboxImage() reads each form of containerd's configuration", () => {
  assert.equal(parseSandboxImage(VERSION_3), "registry.k8s.io/pause:3.10.1");
  assert.equal(parseSandboxImage(VERSION_2), "registry.k8s.io/pause:3.8");
  assert.equal(parseSandboxImage("sandboxer = 'podsandbox'\nsandbox = ''\n"), undefined);
  fc.assert(fc.property(fc.string(), (text) => void parseSandboxImage(text)));
});

function machine(configuration: Partial<CommandResult>, tags: readonly string[]): CommandRunner {
  return {
    run: (argv) => {
      const result = argv[0] === "containerd"
        ? configuration
        : { stdout: JSON.stringify({ images: [{ repoTags: tags }] }) };
      return Promise.resolve({ code: 0, stdout: "", stderr: "", ...result });
    },
  };
}

Deno.test("sandboxImageProblems() refuses a machine without the image that containerd itself needs", async () => {
  const image = "registry.k8s.io/pause:3.8";
  assert.deepEqual(await sandboxImageProblems(machine({ stdout: VERSION_2 }, [image]), 1000), []);
  const [problem = ""] = await sandboxImageProblems(
    machine({ stdout: VERSION_2 }, ["registry.k8s.io/pause:3.10.1"]),
    1000,
  );
  assert.match(problem, /registry\.k8s\.io\/pause:3\.8, which is not on this machine: .*sandbox_image/);
});

Deno.test("sandboxImageProblems() says nothing where containerd tells nothing", async () => {
  assert.deepEqual(await sandboxImageProblems(machine({ code: 1, stdout: VERSION_2 }, []), 1000), []);
  const none: CommandRunner = { run: () => Promise.reject(new Error("no such program")) };
  assert.deepEqual(await sandboxImageProblems(none, 1000), []);
});

Deno.test("sandboxImageProblems() says nothing where crictl is missing or tells nothing", async () => {
  for (const code of ["system/command", "timeout/command"] as const) {
    const without: CommandRunner = {
      run: ([program]) =>
        program === "containerd"
          ? Promise.resolve({ code: 0, stdout: VERSION_2, stderr: "" })
          : Promise.reject(new BootstrapError(code, "Cannot run crictl")),
    };
    assert.deepEqual(await sandboxImageProblems(without, 1000), []);
  }
  const failing: CommandRunner = {
    run: ([program]) => Promise.resolve({ code: program === "containerd" ? 0 : 1, stdout: VERSION_2, stderr: "" }),
  };
  assert.deepEqual(await sandboxImageProblems(failing, 1000), []);
});
