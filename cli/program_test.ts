import { sourceText } from "../platform/endpoint_source.ts";
import { LockFile } from "../nodelock/file.ts";
import { INSTANCE_DATA } from "../node/metadata/testing/services.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import { init } from "./commands/init.ts";
import { joinSigner } from "./commands/join_service_signer.ts";
import { run } from "./commands/run.ts";
import type { AnyCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { runProgram } from "./program.ts";
import type { Machine } from "./machine.ts";
import type { InitOptions } from "./programs/init.ts";
import type { JoinSignerOptions } from "./programs/join_service_signer.ts";
import { createFoundingToken, deriveToken, tokenKeyText } from "../protocol/founding_token.ts";
import { runDependencies, type RunOptions } from "./programs/run.ts";
import { TestWorld } from "./testing/command_line.ts";

const INIT = ["init", "10.0.0.1", "--name", "demo", "--policy", "p.yaml", "--key", "k.pem"];

Deno.test("runProgram() returns 2 and prints a next action when the command line is wrong", async () => {
  await using world = await TestWorld.create();
  const wrong: readonly (readonly [readonly string[], string])[] = [
    [[], "usage/no-subcommand"],
    [["bogus"], "usage/unknown-command"],
    [["statsu"], "usage/unknown-command"],
    [["help", "bogus"], "usage/unknown-command"],
    [["help", "policy", "bogus"], "usage/unknown-command"],
    [["version", "--bogus"], "usage/unknown-option"],
    [["version", "more"], "usage/excess-arguments"],
    [["version", "--output", "xml"], "usage/invalid-argument"],
    [["keygen"], "usage/missing-mandatory-option-value"],
    [["keygen", "--out"], "usage/option-missing-argument"],
    [["init", "--name", "a", "--policy", "p", "--key", "k"], "usage/missing-argument"],
    [[...INIT, "--wait", "soon"], "usage/duration"],
    [[...INIT, "--expect-identity", "ab"], "usage/identity"],
    [[...INIT.with(3, "De_mo")], "usage/cluster-name"],
    [[...INIT.with(1, "10.0.0.1:x")], "usage/endpoint"],
    [["abandon", "De_mo"], "usage/cluster-name"],
    [["evidence", "--ek-type", "rsa"], "usage/invalid-argument"],
  ];
  for (const [args, code] of wrong) {
    assert.equal(await world.run(...args), 2, args.join(" "));
    assert.equal(world.out, "");
    assert.match(world.err, /^Error: .+\.\n/);
    assert.ok(world.err.includes(code), world.err);
    assert.match(world.err, /\nNext: .+\.\n$/);
  }
});

Deno.test("runProgram() prints an error as one JSON object when the output is JSON", async () => {
  await using world = await TestWorld.create();
  for (const args of [["--output", "json"], ["--output=json"]]) {
    assert.equal(await world.run("keygen", ...args), 2);
    assert.equal(world.err, "");
    const { error } = JSON.parse(world.out);
    assert.equal(error.code, "usage/missing-mandatory-option-value");
    assert.ok(error.message !== "" && error.next !== "");
  }
});

Deno.test("runProgram() ends quietly when the program that reads its output has ended", async () => {
  await using world = await TestWorld.create();
  const context: CliContext = {
    ...world.context,
    print: () => {
      throw new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
    },
  };
  assert.equal(await runProgram(["--help"], context), 141);
  assert.deepEqual([world.out, world.err], ["", ""]);
});

Deno.test("runProgram() returns the exit code of the error that a command throws", async () => {
  const errors: readonly (readonly [unknown, number])[] = [
    [new BootstrapError("system/file", "Cannot"), 1],
    [new BootstrapError("usage/document", "Cannot"), 2],
    [new BootstrapError("refused/pcr-4", "Cannot", { details: { check: "pcr", expected: "00", seen: "11" } }), 3],
    [new BootstrapError("unavailable/connection", "Cannot"), 4],
    [new BootstrapError("conflict/changed", "Cannot", { retriable: true }), 4],
    [new TypeError("defect"), 1],
  ];
  for (const [error, exitCode] of errors) {
    await using world = await TestWorld.create({ commands: [{ ...init, action: () => Promise.reject(error) }] });
    assert.equal(await world.run(...INIT), exitCode);
    assert.match(world.err, /\nNext: .+\.\n$/);
  }
});

Deno.test("runProgram() gives init its options, with their defaults", async () => {
  const seen: InitOptions[] = [];
  await using world = await TestWorld.create({
    commands: [{ ...init, action: (options: InitOptions) => Promise.resolve(void seen.push(options)) }],
  });
  assert.equal(await world.run(...INIT), 0);
  const all = ["--passphrase-file", "pw", "--cluster", "c.yaml", "--kubeconfig", "kc", "--cluster-file", "cf"];
  const others = ["--other-operator", "a.pub", "b.pub"];
  const more = ["--expect-identity", "AB".repeat(32), "--wait", "90s", "--records", "rec", "--output", "json"];
  assert.equal(await world.run(...INIT.with(1, "[fd00::1]:1"), ...all, ...others, ...more), 0);
  assert.equal(await world.run(...INIT, "--wait"), 0);
  assert.deepEqual(seen[0], {
    node: { host: "10.0.0.1", port: 9443 },
    clusterName: "demo",
    policyFile: "p.yaml",
    keyFile: "k.pem",
    otherOperatorFiles: [],
    networkPaths: [],
    kubeconfigFile: "demo.kubeconfig",
    clusterFile: "demo.cluster.yaml",
    patienceMs: 600_000,
    recordsFolder: join(world.root, "home/.config/bootstrapper"),
    output: "text",
  });
  assert.deepEqual(seen[1], {
    node: { host: "fd00::1", port: 1 },
    clusterName: "demo",
    policyFile: "p.yaml",
    keyFile: "k.pem",
    passphraseFile: "pw",
    otherOperatorFiles: ["a.pub", "b.pub"],
    networkPaths: [],
    settingsFile: "c.yaml",
    expectIdentity: new Uint8Array(32).fill(0xab),
    kubeconfigFile: "kc",
    clusterFile: "cf",
    patienceMs: 90_000,
    waitMs: 90_000,
    recordsFolder: "rec",
    output: "json",
  });
  assert.equal(seen[2]?.waitMs, 600_000);
});

Deno.test("runProgram() gives join-service signer its folder and socket", async () => {
  const seen: JoinSignerOptions[] = [];
  const action = (options: JoinSignerOptions) => Promise.resolve(void seen.push(options));
  await using world = await TestWorld.create({
    commands: [{ ...joinSigner, open: () => Promise.resolve(), action }],
  });
  const { joinService, joinSocket, joinDialer, joinProver } = world.context.paths;
  const sockets = ["--socket", "/s", "--dialer", "/d", "--prover", "/p"];
  assert.equal(await world.run("join-service", "signer"), 0);
  assert.equal(await world.run("join-service", "signer", "--folder", "/f", ...sockets), 0);
  assert.deepEqual(seen, [
    { folder: joinService, socket: joinSocket, dialer: joinDialer, prover: joinProver },
    { folder: "/f", socket: "/s", dialer: "/d", prover: "/p" },
  ]);
});

Deno.test("runProgram() starts no join-service signer without the unit's credentials", async () => {
  await using world = await TestWorld.create({
    commands: [{ ...joinSigner, open: () => Promise.resolve(closedListener()) }],
  });
  assert.equal(await world.run("join-service", "signer", "--folder", "/nowhere"), 1);
  assert.match(world.err, /precondition\/ca-key/);
});

Deno.test("runProgram() opens the machine for run, and drops permissions before it reads the configuration", async () => {
  let seen: unknown;
  await using world = await TestWorld.create({
    commands: [{
      ...run,
      async action(options: RunOptions, context: CliContext, machine: Machine) {
        assert.deepEqual(world.kept, run.keeps);
        const { configuration, self } = await runDependencies(options, context, machine);
        seen = [configuration.trust.clusterName, self.name, machine.facts.hostName, machine.unmeasured.length > 0];
      },
    }],
  });
  const example = await Deno.readTextFile(new URL("../deploy/node-worker.example.yaml", import.meta.url));
  const insecure = example.replace(/^evidence:\n(?: .*\n)*/m, "evidence: { variant: none, allowInsecure: true }\n");
  await world.write("etc/bootstrapper/config.yaml", insecure);
  assert.equal(await world.run("run"), 0, world.err);
  assert.deepEqual(seen, ["demo", "node-1", "node-1", true]);
});

Deno.test("run takes the node's name and endpoints from its machine's metadata, and keeps them once it is locked", async () => {
  const seen: unknown[] = [];
  await using world = await TestWorld.create({
    commands: [{
      ...run,
      async action(options: RunOptions, context: CliContext, machine: Machine) {
        const { configuration: { join }, self, metadata } = await runDependencies(options, context, machine);
        seen.push([self.name, join.endpoints.map(sourceText), metadata?.source]);
      },
    }],
  });
  const example = await Deno.readTextFile(new URL("../deploy/node-worker.example.yaml", import.meta.url));
  const text = example.replace(/^evidence:\n(?: .*\n)*/m, "evidence: { variant: none, allowInsecure: true }\n")
    .replace(/^join:\n(?: .*\n)*/m, "metadata: { source: nocloud, use: [name, endpoints] }\n");
  await world.write("etc/bootstrapper/config.yaml", text);
  await world.write("run/cloud-init/instance-data.json", INSTANCE_DATA);
  assert.equal(await world.run("run"), 0, world.err);
  await Deno.writeTextFile(new LockFile(world.context.paths.state).path, "any");
  await world.write("run/cloud-init/instance-data.json", INSTANCE_DATA.replaceAll("worker-1", "worker-2"));
  assert.equal(await world.run("run"), 0, world.err);
  const expected = ["worker-1", ["10.77.0.11:9444", "srv:_bootstrapper._tcp.example.org"], "nocloud"];
  assert.deepEqual(seen, [expected, expected]);
});

Deno.test("run ends before any port opens on a founder whose token is missing, mistyped or another one", async () => {
  const [token, other] = [createFoundingToken(), createFoundingToken()];
  const tokenKey = tokenKeyText((await deriveToken(token, "demo")).spki);
  await using world = await TestWorld.create();
  await world.write(
    "etc/bootstrapper/config.yaml",
    `version: 1\ntrust: {clusterName: demo, operatorKeys: [], founding: {size: 3, tokenKey: "${tokenKey}"}}\n` +
      "founding: {peers: [a.example]}\nevidence: {variant: none, allowInsecure: true}\n",
  );
  const credential = "sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/bootstrapper.token/raw";
  const cases = [[undefined, "missing"], [other, "other"], [`${token}q`, ""]] as const;
  for (const [given, kind] of cases) {
    if (given !== undefined) await world.write(credential, given);
    assert.equal(await world.run("run"), 2, world.err);
    const code = `usage/founding-token${kind === "" ? "" : `-${kind}`}`;
    assert.ok(world.err.includes(`"code":"${code}"`) || world.err.includes(code), world.err);
    const { phase, error } = JSON.parse(await Deno.readTextFile(world.context.paths.status));
    assert.deepEqual([phase, error.code], ["failed", code]);
    const said = world.out + world.err + await Deno.readTextFile(world.context.paths.status);
    for (const secret of [token, other]) assert.ok(!said.includes(secret.slice(5, 13)), said);
    assert.ok(!world.err.includes("listening"), world.err);
  }
});

Deno.test("runProgram() takes --version for the command version, and help for --help", async () => {
  await using world = await TestWorld.create();
  const outputOf = async (...args: string[]) => {
    assert.equal(await world.run(...args), 0, world.err);
    return world.out;
  };
  assert.equal(await outputOf("--built-from", "abc", "--version"), await outputOf("--built-from", "abc", "version"));
  assert.equal(await outputOf("-V"), await outputOf("version"));
  assert.equal(await outputOf("help"), await outputOf("--help"));
  assert.equal(await outputOf("--built-from", "abc", "help", "init"), await outputOf("init", "--help"));
  assert.equal(await outputOf("help", "policy"), await outputOf("policy", "--help"));
  assert.equal(await outputOf("help", "policy", "make"), await outputOf("policy", "make", "--help"));
});

Deno.test("runProgram() names the help of a family when its command is missing", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("policy"), 2);
  assert.match(world.err, /`bootstrapper policy --help`/);
});

Deno.test("runProgram() prints version, protocol and the commit that it was built from", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("--built-from", "0123abc", "version"), 0);
  assert.match(world.out, /^version +\d+\.\d+\.\d+\nprotocol +bootstrapper\/1\ndeno +\d/);
  assert.match(world.out, /\ncommit +0123abc\n/);
  assert.equal(await world.run("version", "--output", "json"), 0);
  assert.equal(JSON.parse(world.out).protocol, "bootstrapper/1");
  assert.equal("commit" in JSON.parse(world.out), false);
});

function closedListener(): Deno.Listener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener;
}

Deno.test("runProgram() takes a requested stop for success only where a command works until then, and disposes of what it opened", async () => {
  for (const [runsUntilStopped, exitCode] of [[{ runsUntilStopped: true }, 0], [{}, 1]] as const) {
    let isDisposed = false;
    const stopped: AnyCommand = {
      ...{ name: "run", group: "On a node:", description: "wait", examples: ["bootstrapper run"], keeps: ["read"] },
      ...runsUntilStopped,
      read: () => undefined,
      open: () => Promise.resolve({ [Symbol.dispose]: () => void (isDisposed = true) }),
      action: () => Promise.reject(new BootstrapError("aborted/run", "The bootstrapper was stopped")),
    };
    await using world = await TestWorld.create({ commands: [stopped] });
    assert.equal(await world.run("run"), exitCode, world.err);
    assert.equal(isDisposed, true);
  }
});

Deno.test("runProgram() says that a command needs root before it opens or writes anything", async () => {
  await using world = await TestWorld.create({ isRoot: false });
  const before = [...Deno.readDirSync(world.root)].map(({ name }) => name);
  for (const name of ["run", "measure", "renew", "reset"]) {
    assert.equal(await world.run(name), 1, world.err);
    assert.match(world.err, new RegExp(`^Error: \`bootstrapper ${name}\` needs root on this machine\\.\n`));
    assert.match(world.err, /code +precondition\/root\nNext: Run the command as root/);
  }
  assert.deepEqual([...Deno.readDirSync(world.root)].map(({ name }) => name), before);
  assert.equal(await world.run("status"), 0, world.err);
});

Deno.test("runProgram() names the help of the command whose line it cannot read", async () => {
  await using world = await TestWorld.create();
  const cases: readonly (readonly [args: readonly string[], help: string])[] = [
    [["nonsense"], "bootstrapper --help"],
    [["policy", "nonsense"], "bootstrapper policy --help"],
    [["policy", "collateral"], "bootstrapper policy collateral --help"],
    [["policy", "collateral", "fetch", "--platform"], "bootstrapper policy collateral fetch --help"],
    [["--built-from", "abc", "init", "10.0.0.1"], "bootstrapper init --help"],
  ];
  for (const [args, help] of cases) {
    assert.equal(await world.run(...args), 2);
    assert.ok(world.err.endsWith(`Next: Run \`${help}\`.\n`), world.err);
  }
});

Deno.test("runProgram() tells all missing arguments and options, and all unknown options, at once", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("init", "--nmae", "demo", "--polcy=p", "--wiat", "5m"), 2);
  assert.ok(
    world.err.startsWith(
      "Error: Cannot read the command line: the option `--name <name>` is missing; the option `--policy <file>` is " +
        "missing; the option `--key <file>` is missing; there is no option `--nmae` (did you mean `--name`?); there is " +
        "no option `--polcy` (did you mean `--policy`?); there is no option `--wiat` (did you mean `--wait`?).\n",
    ),
    world.err,
  );
  assert.equal(await world.run("init", "--policy", "p"), 2);
  assert.match(
    world.err,
    /: the argument <node> is missing; the option `--name <name>` is missing; the option `--key /,
  );
  assert.ok(!world.err.includes("--policy"), world.err);
});

Deno.test("runProgram() says which command was probably meant", async () => {
  await using world = await TestWorld.create();
  const cases: readonly (readonly [args: readonly string[], meant: string])[] = [
    [["statsu"], "status"],
    [["help", "statsu"], "status"],
    [["polcy"], "policy"],
    [["policy", "mkae"], "policy make"],
    [["policy", "colateral"], "policy collateral"],
    [["explain"], "policy explain"],
  ];
  for (const [args, meant] of cases) {
    assert.equal(await world.run(...args), 2);
    assert.ok(world.err.includes(`(did you mean \`${meant}\`?)`), world.err);
  }
  assert.equal(await world.run("nonsense"), 2);
  assert.match(world.err, /^Error: There is no command "nonsense"\.\n/);
});

Deno.test("runProgram() prints YAML that has what JSON has, of results, events and errors", async () => {
  await using world = await TestWorld.create();
  for (const args of [["version"], ["status"], ["keygen"], ["config", "schema", "node"]]) {
    const exitCode = await world.run(...args, "--output", "json");
    const expected = JSON.parse(world.out);
    for (const form of [["-o", "yaml"], ["-oyaml"], ["--output=yaml"]]) {
      assert.equal(await world.run(...args, ...form), exitCode, world.err);
      assert.ok(world.out.startsWith("---\n"), world.out);
      assert.deepEqual(parse(world.out), expected);
      assert.equal(world.err, "");
    }
  }
  const events: AnyCommand = {
    ...{ name: "run", group: "On a node:", description: "say", examples: ["bootstrapper run"], keeps: [] },
    read: () => undefined,
    action: (_options, { print, printJson }) =>
      Promise.resolve([printJson({ on: "yes" }), printJson({}), print("a document\n")].at(-1)),
  };
  await using speaker = await TestWorld.create({ commands: [events] });
  assert.equal(await speaker.run("run", "-o", "yaml"), 0, speaker.err);
  assert.equal(speaker.out, '---\n"on": "yes"\n---\n{}\na document\n');
});

Deno.test("runProgram() writes the log as text where a person reads it, and as JSON elsewhere", async () => {
  const speaker: AnyCommand = {
    ...{ name: "run", group: "On a node:", description: "say", examples: ["bootstrapper run"], keeps: [] },
    read: () => undefined,
    action: (_options, { log }) => {
      log.with({ node: "node-1" }).event("info", "race", { state: "racing", why: "a\u001b[2J b", checks: ["x"] });
      return Promise.resolve(log.event("warn", "race-lost", { code: undefined }));
    },
  };
  await using world = await TestWorld.create({ commands: [speaker] });
  const terminal = { ...world.context.terminal, isErrorTerminal: true };
  assert.equal(await runProgram(["run"], { ...world.context, terminal }, [speaker]), 0);
  assert.equal(
    world.err,
    '00:00:00 race node=node-1 state=racing why="a [2J b" checks="[\\"x\\"]"\n00:00:00 WARN race-lost\n',
  );
  for (const args of [["run"], ["run", "-o", "json"]]) {
    assert.equal(await world.run(...args), 0);
    assert.equal(JSON.parse(world.err.split("\n")[1] ?? "").event, "race-lost");
  }
});

Deno.test("runProgram() colours only the terminal's own text, and not if that is not wanted", async () => {
  await using world = await TestWorld.create();
  const errorOf = async (args: readonly string[], changes: Partial<CliContext["terminal"]>) => {
    let err = "";
    const printError = (text: string) => void (err += text);
    const terminal = { ...world.context.terminal, ...changes };
    assert.equal(await runProgram(args, { ...world.context, terminal, printError }), 2);
    return err;
  };
  const onTerminal = { isErrorTerminal: true, hasColours: true };
  assert.ok((await errorOf(["keygen"], onTerminal)).startsWith("\u001b[31mError:\u001b[0m Cannot"));
  assert.match(await errorOf(["keygen"], { ...onTerminal, hasColours: false }), /^Error:/);
  assert.match(await errorOf(["keygen"], { ...onTerminal, isErrorTerminal: false }), /^Error:/);
  assert.match(await errorOf(["keygen", "--no-color"], onTerminal), /^Error:/);
  assert.match(await errorOf(["--no-color", "keygen"], onTerminal), /^Error:/);
});
