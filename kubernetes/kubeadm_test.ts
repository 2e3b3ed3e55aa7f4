import assert from "node:assert/strict";
import { join } from "node:path";
import type { CommandResult } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { layJoined, Machine } from "./testing/machine.ts";

const failedIn = (text: string) => ({ code: 1, stderr: `error: error execution phase ${text}` });
const TOKEN = "abcdef.0123456789abcdef";

Deno.test("init() skips every phase that makes a token or copies a key, and forces the result to disk", async () => {
  await using machine = await Machine.create();
  await Deno.writeTextFile(join(machine.folder, "kubernetes/super-admin.conf"), "x");
  await machine.kubeadm.init("documents", { deadlineMs: 1000 });
  assert.deepEqual(machine.calls, [
    ["kubeadm", "init", "--skip-phases=preflight,bootstrap-token,upload-certs,show-join-command", "--config=…"],
    ["sync", "--file-system", "…/kubernetes", "…/kubelet"],
  ]);
  assert.deepEqual(machine.configs, [{ mode: 0o600, text: "documents" }]);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(join(machine.folder, "private"))), []);
  await assert.rejects(Deno.stat(join(machine.folder, "kubernetes/super-admin.conf")), Deno.errors.NotFound);
});

Deno.test("init() reports the output as progress, without secrets", async () => {
  await using machine = await Machine.create();
  const progress: string[] = [];
  const lines: string[] = [];
  machine.answer({ stdout: `[certs] Using\nplain ${TOKEN}\n[token] Using ${TOKEN}`, stderr: `W1121 ${TOKEN}` });
  await machine.kubeadm.init("documents", {
    deadlineMs: 1000,
    onProgress: ({ phase, detail }) => progress.push(`${phase}: ${detail}`),
    onLine: (line) => lines.push(line),
  });
  assert.deepEqual(progress, ["certs: Using", "token: Using [redacted]"]);
  assert.deepEqual(lines, ["[certs] Using", "plain [redacted]", "[token] Using [redacted]", "W1121 [redacted]"]);
});

Deno.test("init() names the failed phase without secrets, and removes its configuration", async () => {
  await using machine = await Machine.create();
  machine.answer({ code: 1, stderr: `error: error execution phase certs/ca: bad ${TOKEN}\nTo see the stack trace` });
  await assert.rejects(machine.kubeadm.init("documents", { deadlineMs: 1000 }), (error: unknown) => {
    assert.ok(error instanceof BootstrapError);
    assert.equal(error.code, "system/kubeadm");
    assert.equal(error.message, 'kubeadm init failed in phase "certs/ca": bad [redacted]');
    assert.deepEqual(error.details, { command: "kubeadm init", phase: "certs/ca", exitCode: "1" });
    return true;
  });
  assert.deepEqual(await Array.fromAsync(Deno.readDir(join(machine.folder, "private"))), []);
});

Deno.test("init() reports by kubeadm's phase whether a failure is retriable", async () => {
  const cases: readonly (readonly [failed: Partial<CommandResult>, retriable: boolean])[] = [
    [failedIn("wait-control-plane: failed while waiting for the control plane to start"), true],
    [failedIn("upload-config/kubeadm: error uploading the kubeadm ClusterConfiguration: connection refused"), true],
    [failedIn("mark-control-plane: etcdserver: request timed out"), true],
    [failedIn("addon/coredns: context deadline exceeded"), true],
    [failedIn("certs/apiserver: no space left on device"), false],
    [failedIn("etcd/local: a file where a folder should be"), false],
    [failedIn("kubelet-start: read-only file system"), false],
    [{ code: 1, stderr: "error: unknown flag" }, false],
    // kubeadm was killed in some phase: not retriable, because the bootstrapper itself may be killed next.
    [{ code: 137, stderr: "error execution phase wait-control-plane: interrupted" }, false],
  ];
  await using machine = await Machine.create();
  for (const [failed, retriable] of cases) {
    machine.answer(failed);
    await assert.rejects(machine.kubeadm.init("documents", { deadlineMs: 1000 }), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "system/kubeadm");
      assert.equal(error.retriable, retriable, error.message);
      return true;
    });
  }
});

Deno.test("preflight() returns the failed checks or none, and fails when kubeadm reports no checks", async () => {
  await using machine = await Machine.create();
  machine.answer({ code: 1, stderr: "\t[ERROR Swap]: swap is on" }, {}, { code: 1, stderr: "error: bad flag" });
  const run = { deadlineMs: 1000 };
  assert.deepEqual(await machine.kubeadm.preflight("init", "d", run), [{ check: "Swap", reason: "swap is on" }]);
  assert.deepEqual(await machine.kubeadm.preflight("join", "d", run), []);
  await assert.rejects(machine.kubeadm.preflight("init", "d", run), /bad flag/);
  assert.deepEqual(machine.calls.map((call) => call.slice(0, 4).join(" ")), [
    "kubeadm init phase preflight",
    "kubeadm join phase preflight",
    "kubeadm init phase preflight",
  ]);
});

Deno.test("join() runs kubeadm although the kubelet's credentials are there, and removes the ticket's", async () => {
  await using machine = await Machine.create();
  await Deno.writeTextFile(join(machine.folder, "kubernetes/bootstrap-kubelet.conf"), "");
  await machine.kubeadm.join("document", { deadlineMs: 1000 });
  assert.deepEqual(machine.calls[0], ["kubeadm", "join", "--skip-phases=preflight", "--config=…"]);
  const left = (await Array.fromAsync(Deno.readDir(join(machine.folder, "kubernetes")))).map(({ name }) => name);
  assert.deepEqual(left.sort(), ["kubelet.conf", "pki"]);
});

Deno.test("init() refuses a machine without the CA or the kubelet's credentials, as kubeadm would make others", async () => {
  for (const [path, code] of [["pki/ca.key", "cluster-ca"], ["kubelet.conf", "kubelet-credentials"]] as const) {
    await using machine = await Machine.create();
    await Deno.remove(join(machine.folder, "kubernetes", path));
    await assert.rejects(machine.kubeadm.init("documents", { deadlineMs: 1000 }), { code: `precondition/${code}` });
    assert.deepEqual(machine.calls, []);
  }
});

Deno.test("join() does not run kubeadm when the kubelet has joined", async () => {
  await using machine = await Machine.create();
  await layJoined(machine);
  await machine.kubeadm.join("document", { deadlineMs: 1000 });
  assert.deepEqual(machine.calls, [
    ["systemctl", "stop", "kubelet.service"],
    ["systemctl", "start", "kubelet.service"],
    ["sync", "--file-system", "…/kubernetes", "…/kubelet"],
  ]);
});

Deno.test("join() succeeds when kubeadm refuses because the kubelet has joined meanwhile, or fails", async () => {
  await using machine = await Machine.create();
  const refused = { code: 1, stderr: "error: error execution phase kubelet-start: a Node already exists" };
  machine.answer(refused);
  await assert.rejects(machine.kubeadm.join("document", { deadlineMs: 1000 }), /already exists/);
  const run = machine.answer(refused).run.bind(machine);
  machine.run = async (argv, options) => {
    if (argv[0] === "kubeadm") await layJoined(machine);
    return await run(argv, options);
  };
  await machine.kubeadm.join("document", { deadlineMs: 1000 });
  assert.equal(machine.calls.at(-1)?.[0], "sync");
});

Deno.test("requiredImages() returns one image per line", async () => {
  await using machine = await Machine.create();
  machine.answer({ stdout: "a:1\nb:2\n" });
  assert.deepEqual(await machine.kubeadm.requiredImages("d", { deadlineMs: 1000 }), ["a:1", "b:2"]);
});

Deno.test("listenToWarnings() hears each warning of any run once, without secrets, until it is disposed of", async () => {
  await using machine = await Machine.create();
  const { kubeadm } = machine;
  const heard: string[] = [];
  const warned = {
    stderr: `\t[WARNING Swap]: swap is on, ${TOKEN}\nW1129 05:00:00.000000       1 x.go:9] no containerd`,
  };
  {
    using _listening = kubeadm.listenToWarnings((warning) => heard.push(warning));
    for (const _run of [1, 2]) {
      machine.answer(warned);
      await kubeadm.preflight("init", "documents", { deadlineMs: 1000 });
    }
  }
  machine.answer({ stderr: "\t[WARNING Hostname]: not resolved" });
  await kubeadm.preflight("init", "documents", { deadlineMs: 1000 });
  assert.deepEqual(heard, ["Swap: swap is on, [redacted]", "no containerd"]);
});
