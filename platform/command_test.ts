import assert from "node:assert/strict";
import { utf8 } from "./bytes.ts";
import { runOrThrow, systemCommands } from "./command.ts";
import type { CommandOptions } from "./command.ts";

const DEADLINE_MS = 30_000;
const LONG_S = "300";

function sh(script: string, options: Partial<CommandOptions> = {}) {
  return systemCommands.run(["sh", "-c", script], { deadlineMs: DEADLINE_MS, ...options });
}

Deno.test("systemCommands.run() gives exit code and output, whatever they are", async () => {
  assert.deepEqual(await sh("echo out; echo err >&2; exit 7"), { code: 7, stdout: "out\n", stderr: "err\n" });
  assert.deepEqual(await sh("true"), { code: 0, stdout: "", stderr: "" });
});

Deno.test("systemCommands.run() hands arguments over as they are, without a shell", async () => {
  const argv = ["printf", "%s|", "$HOME; `id`", "a b", ""] as const;
  assert.equal((await systemCommands.run(argv, { deadlineMs: DEADLINE_MS })).stdout, "$HOME; `id`|a b||");
});

Deno.test("systemCommands.run() gives the program only PATH, or the environment of the options", async () => {
  const env = async (options: Partial<CommandOptions>) =>
    (await systemCommands.run(["/usr/bin/env"], { deadlineMs: DEADLINE_MS, ...options })).stdout;
  assert.match(await env({}), /^PATH=[^\n]*\n$/);
  assert.equal(await env({ env: { A: "1" } }), "A=1\n");
});

Deno.test("systemCommands.run() feeds standard input, also to a program that does not read it", async () => {
  assert.equal((await sh("cat", { stdin: utf8("in") })).stdout, "in");
  assert.equal((await sh("true", { stdin: new Uint8Array(1 << 20) })).code, 0);
  assert.equal((await sh("cat")).stdout, "");
});

Deno.test("systemCommands.run() reports each line as it arrives, including a last line without a line feed", async () => {
  const first = Promise.withResolvers<void>();
  const lines: string[] = [];
  const running = sh("echo a; read go; echo b >&2; printf c", {
    stdin: utf8("go\n"),
    onLine(line, stream) {
      lines.push(`${stream} ${line}`);
      first.resolve();
    },
  });
  await first.promise;
  await running;
  assert.deepEqual(lines.toSorted(), ["stderr b", "stdout a", "stdout c"]);
});

Deno.test("systemCommands.run() keeps the last mebibyte of output", async () => {
  const { stdout } = await sh("head -c 3000000 /dev/zero | tr '\\0' x; echo end");
  assert.equal(stdout.length, 1 << 20);
  assert(stdout.endsWith("xend\n"));
});

Deno.test("systemCommands.run() kills a program that does not end in time", async () => {
  await assert.rejects(sh(`exec sleep ${LONG_S}`, { deadlineMs: 50 }), {
    code: "timeout/command",
    message: "sh did not end within 0.05 s",
    retriable: true,
  });
});

Deno.test("systemCommands.run() ends in time when a child of the program holds its output open", async () => {
  const children: string[] = [];
  const script = `sleep ${LONG_S} & echo $!; wait`;
  const started = Promise.withResolvers<void>();
  const stop = new AbortController();
  const running = sh(script, {
    signal: stop.signal,
    onLine(line) {
      children.push(line);
      started.resolve();
    },
  });
  await started.promise;
  stop.abort();
  await assert.rejects(running, { code: "aborted/command" });
  Deno.kill(Number(children[0]), "SIGKILL");
});

Deno.test("systemCommands.run() kills a program whose signal aborts, and starts none if it already has", async () => {
  const stop = new AbortController();
  const running = sh(`echo started; exec sleep ${LONG_S}`, { signal: stop.signal, onLine: () => stop.abort() });
  await assert.rejects(running, { code: "aborted/command", message: "sh was stopped" });
  await assert.rejects(sh("true", { signal: stop.signal }), { code: "aborted/command", message: "sh was not started" });
});

Deno.test("systemCommands.run() takes the end of a program by SIGTERM for its own, if that is asked for too", async () => {
  const stop = new AbortController();
  const running = sh("kill -TERM $$", { signal: stop.signal });
  const late = setTimeout(() => stop.abort(), 100);
  await assert.rejects(running, { code: "aborted/command", message: "sh was stopped" });
  clearTimeout(late);
  assert.equal((await sh("kill -TERM $$", { signal: new AbortController().signal })).code, 143);
  assert.equal((await sh("exit 130")).code, 130);
});

Deno.test("systemCommands.run() names a program that does not exist", async () => {
  const running = systemCommands.run(["/nowhere/kubeadm"], { deadlineMs: DEADLINE_MS });
  await assert.rejects(running, { code: "system/command", message: "Cannot start /nowhere/kubeadm" });
});

Deno.test("runOrThrow() returns standard output, or throws the last line of standard error", async () => {
  const run = (script: string) => runOrThrow(systemCommands, ["sh", "-c", script], { deadlineMs: DEADLINE_MS });
  assert.equal(await run("echo out; echo noise >&2"), "out\n");
  await assert.rejects(run("echo first >&2; echo last >&2; exit 3"), {
    code: "system/command",
    message: "sh ended with exit code 3: last",
    details: { program: "sh", exitCode: "3" },
  });
});
