import assert from "node:assert/strict";
import { join } from "node:path";
import { StatusWriter } from "../../node/status.ts";
import { LockFile } from "../../nodelock/file.ts";
import type { CommandRunner } from "../../platform/command.ts";
import { exists } from "../../platform/files.ts";
import { reset } from "./reset.ts";
import { TestWorld } from "../testing/command_line.ts";

/** A runner for a node on which nothing runs, and every program succeeds. */
const commands: CommandRunner = {
  run: (argv) => Promise.resolve({ code: argv[1] === "is-active" ? 3 : 0, stdout: "", stderr: "" }),
};

async function worker(...answers: readonly string[]): Promise<TestWorld> {
  const world = await TestWorld.create({ answers });
  Object.assign(world.context, { commands });
  const { paths, clock, log } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  const lock = { owner: "join", clusterId: new Uint8Array(32).fill(0xab), time: clock.now() } as const;
  await (await new LockFile(paths.state).stage(lock)).link();
  await new StatusWriter({ path: paths.status, clock, log }).update({
    phase: "member",
    nodeName: "w-1",
    role: "worker",
  });
  return world;
}

const isLocked = ({ context }: TestWorld) => exists(new LockFile(context.paths.state).path);

Deno.test("reset prints its plan, asks, and prints the remaining actions", async () => {
  await using world = await worker("y");
  assert.equal(await world.run("reset"), 0, world.err);
  assert.match(world.err, /^This resets this node, w-1 \(worker of sha256:abab/);
  assert.match(world.err, /\n {3}1\. stop the join service\n[\s\S]*\n {2}12\. remove the node lock\n.*lost for good/);
  assert.match(world.out, /\n {2}12\. remove the node lock\nThis node is fresh again\.\n/);
  assert.match(world.out, /`bootstrapper node remove w-1`/);
  assert.ok(!world.out.includes("TPM"));
  assert.equal(await isLocked(world), false);
  assert.deepEqual(world.kept, reset.keeps);
});

Deno.test("reset changes nothing when the answer is no, or there is no terminal", async () => {
  for (const [answers, exitCode, code] of [[["n"], 1, "aborted/prompt"], [[], 2, "usage/no-terminal"]] as const) {
    await using world = await worker(...answers);
    assert.equal(await world.run("reset", "--output", "json"), exitCode);
    assert.equal(JSON.parse(world.out).error.code, code);
    assert.equal(await isLocked(world), true);
  }
});

Deno.test("reset prints one JSON object, and advises a restart if there is a TPM", async () => {
  await using world = await worker();
  await world.write("dev/tpmrm0", "");
  assert.equal(await world.run("reset", "--yes", "--output", "json"), 0, world.err);
  const { state, nodeName, clusterId, warnings, next } = JSON.parse(world.out);
  assert.deepEqual([state, nodeName, clusterId, warnings], ["fresh", "w-1", `sha256:${"ab".repeat(32)}`, []]);
  assert.match(next.join("\n"), /node remove w-1[\s\S]*PCR 15/);
});

Deno.test("reset continues on a node whose own facts cannot be read", async () => {
  await using world = await worker();
  const { paths } = world.context;
  await Deno.writeTextFile(paths.status, "{");
  await Deno.writeTextFile(new LockFile(paths.state).path, "torn");
  await Deno.writeTextFile(
    join(paths.state, "reset.json"),
    '{"version":1,"startedAt":"2026-01-01T00:00:00Z","etcdPeers":[]}',
  );
  assert.equal(await world.run("reset", "--yes"), 0, world.err);
  assert.match(world.err, /^The interrupted reset continues with this node/);
  assert.equal(await isLocked(world), false);
  assert.equal(await exists(join(paths.state, "reset.json")), false);
});
