import assert from "node:assert/strict";
import type { CommandResult, CommandRunner } from "../platform/command.ts";
import { containerLauncher } from "./etcd_launchers.ts";

const image = "registry.k8s.io/etcd:3.6.8-0";
const images = JSON.stringify({ images: [{ id: "sha256:00", repoTags: [image] }] });

/** A machine whose programs answer by a script: the first answer whose text the command contains. */
function machine(answers: Readonly<Record<string, Partial<CommandResult>>> = {}) {
  const ran: string[] = [];
  const script = { ...answers, "crictl": { stdout: images } };
  const commands: CommandRunner = {
    run: (argv) => {
      const command = argv.join(" ");
      ran.push(command);
      const [, answer] = Object.entries(script).find(([part]) => command.includes(part)) ?? [];
      return Promise.resolve({ code: 0, stdout: "", stderr: "", ...answer });
    },
  };
  return { ran, launcher: containerLauncher({ commands, image, folder: "/founding" }) };
}

Deno.test("containerLauncher() shows that the container can be made before etcd may vote, and leaves none", async () => {
  const { ran, launcher } = machine();
  await launcher.check();
  const trial = ran.findIndex((command) => command.endsWith("etcd --version"));
  assert.match(ran[trial] ?? "", /^setpriv --pdeathsig KILL -- ctr --namespace k8s\.io run --rm --net-host /);
  assert.match(ran.slice(trial).join("\n"), /containers delete bootstrapper-founding-etcd/);
});

Deno.test("containerLauncher() says why the container cannot be made", async () => {
  const { launcher } = machine({ "etcd --version": { code: 1, stderr: "ctr: failed to mount: not permitted\n" } });
  await assert.rejects(launcher.check(), {
    code: "unavailable/founding-etcd",
    message: /failed to mount: not permitted/,
  });
});

Deno.test("containerLauncher() does not take for ended what it cannot see, or what stays", async () => {
  for (const answer of [{ code: 1, stderr: "ctr: no socket" }, { stdout: "other\nbootstrapper-founding-etcd\n" }]) {
    const { launcher } = machine({ "containers list": answer });
    await assert.rejects(launcher.cleanUp(), { code: "unavailable/founding-etcd" });
  }
});

Deno.test("containerLauncher() runs etcd with the founder's folder, and cleans up however it ended", async () => {
  const { ran, launcher } = machine({ "--name=n1": { code: 7 } });
  const onLine = () => {};
  assert.equal(await launcher.run(["--name=n1"], { signal: new AbortController().signal, onLine }), 7);
  assert.match(ran[0] ?? "", /src=\/founding,dst=\/founding.* registry\.k8s\.io\/etcd:3\.6\.8-0 \S+ etcd --name=n1$/);
  assert.match(ran.at(-1) ?? "", /containers list/);
});
