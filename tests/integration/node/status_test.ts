/**
 * `bootstrapper status` is true in every state that a machine can be in. The real program is started, stopped and killed
 * on machines that are namespaces; nothing of a cluster is needed.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "yaml";
import { createCertificateAuthority } from "../../../certificate/ca.ts";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { writePem } from "../../../certificate/pem.ts";
import { issueNodeCertificates } from "../../../certificate/testing/node_certificates.ts";
import { installNodeCertificates, writeKubeletKubeconfig } from "../../../kubernetes/kubelet_credentials.ts";
import { encodeLockRecord } from "../../../nodelock/record.ts";
import type { LockOwner } from "../../../nodelock/record.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { World } from "../../world.ts";
import type { NodeProcess, WorldNode } from "../../world_node.ts";
import { assertState } from "./_state_page.ts";
import { BOOTSTRAPPER, BootstrapperProcess, PATIENCE_MS } from "./run_process.ts";

const STATE = "/var/lib/bootstrapper";
const CONFIGURATION = "/etc/bootstrapper/config.yaml";
/** Nothing listens there: the discard port of the machine itself. */
const NO_SERVICE = "127.0.0.1:9";
const operatorKey = writePem("PUBLIC KEY", (await generateKeyPair("ed25519")).spki);

interface Shown {
  readonly lock: { readonly owner: string } | null;
  readonly status: {
    readonly phase: string;
    readonly isAlive?: boolean;
    readonly role?: string;
    readonly waitsFor?: string;
    readonly failures?: number;
    readonly error?: { readonly code: string; readonly next?: string; readonly message: string };
  } | null;
  readonly member?: { readonly since: string; readonly error?: { readonly code: string; readonly next: string } };
  readonly measured?: { readonly tries: number; readonly error?: { readonly code: string } };
  readonly reset?: { readonly startedAt: string };
}

/** A machine on which the program is run. */
class Machine {
  #starts = 0;

  constructor(readonly node: WorldNode) {}

  configure(change: Readonly<Record<string, unknown>> = {}): Promise<void> {
    return this.node.write(
      CONFIGURATION,
      stringify({
        version: 1,
        trust: { clusterName: "test", operatorKeys: [operatorKey] },
        evidence: { variant: "none", allowInsecure: true },
        allowUnmeasuredImage: true,
        ...change,
      }),
    );
  }

  run(...args: readonly string[]): BootstrapperProcess {
    return BootstrapperProcess.start(this.node, ["run", ...args], `run-${++this.#starts}`);
  }

  async program(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
    return await this.node.run([...BOOTSTRAPPER, ...args]);
  }

  /** What `status` shows, as JSON and as text. */
  async status(): Promise<Shown & { readonly text: string; readonly code: number }> {
    const { code, output } = await this.program("status", "--output", "json");
    const shown: Shown = JSON.parse(output.split("\n")[0] ?? "");
    return { ...shown, code, text: (await this.program("status")).output };
  }

  /** Waits until `status` shows a phase. */
  async phase(phase: string): Promise<Shown & { readonly text: string }> {
    return await waitUntil({ what: `phase ${phase} of ${this.node.name}`, deadlineMs: PATIENCE_MS }, async () => {
      const shown = await this.status();
      return shown.status?.phase === phase ? shown : undefined;
    });
  }

  async lock(ca: CertificateAuthority, owner: LockOwner): Promise<void> {
    const record = { owner, clusterId: await clusterIdOf(ca.certificate), time: new Date("2026-01-02T03:04:05Z") };
    await this.node.write(`${STATE}/node.lock`, await encodeLockRecord(record), 0o644);
  }

  /** Writes what a join leaves behind: the kubelet's certificates and its kubeconfig. */
  async kubelet(ca: CertificateAuthority, nodeName: string): Promise<void> {
    const paths = { kubernetes: this.node.path("/etc/kubernetes"), kubelet: this.node.path("/var/lib/kubelet") };
    const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
    const subject = { nodeName, addresses: ["192.0.2.7"], epoch: 1, lifetimeMs: 3_600_000 };
    const request = { ...subject, clientKey: keys.client.spki, servingKey: keys.serving.spki };
    await installNodeCertificates(paths, await issueNodeCertificates(ca, request, new Date()), keys);
    const caPem = writePem("CERTIFICATE", ca.certificate.der);
    await writeKubeletKubeconfig(paths, { server: "https://192.0.2.1:6443", caPem });
    // The file is named by its path on the machine.
    const path = join(paths.kubernetes, "kubelet.conf");
    await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replaceAll(paths.kubelet, "/var/lib/kubelet"));
  }
}

/** Makes a folder with a program that says the version of a kubelet, which a join asks for. */
async function folderWithKubelet(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "status-toolbox-" });
  await Deno.writeTextFile(join(folder, "kubelet"), "#!/bin/sh\necho Kubernetes v1.36.3\n", { mode: 0o755 });
  return folder;
}

Deno.test("status is true in every state of a machine, and run ends as each one demands", async (t) => {
  const toolbox = await folderWithKubelet();
  await using _toolbox = { [Symbol.asyncDispose]: () => Deno.remove(toolbox, { recursive: true }) };
  await using world = await World.create({ binaries: toolbox });
  const ca = await createCertificateAuthority(new Date());
  const machine = async (name: string) => new Machine(await world.node(name));
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.logs}`);
  };
  const fresh = await machine("fresh");

  await step("1. nothing has run", async () => {
    const { status, lock, code, text } = await fresh.status();
    assert.deepEqual([status, lock, code], [null, null, 0]);
    assert.match(text, /has not run on this node yet/);
    assertState("Nothing has run yet", text);
  });

  await step("2. there is no configuration: exit 2, and systemd does not start it again", async () => {
    assert.equal(await fresh.run().exitCode(), 2);
    const { status, text } = await fresh.status();
    assert.deepEqual([status?.phase, status?.isAlive, status?.error?.code], [
      "failed",
      false,
      "usage/no-configuration",
    ]);
    assertState("There is no configuration", text);
    assert.match(status?.error?.next ?? "", /bootstrapper\.config/);
  });

  await step("3. the configuration is wrong: exit 2, and status names the key and what to do", async () => {
    await fresh.configure({ evidence: { variant: "none" } });
    assert.equal(await fresh.run().exitCode(), 2);
    const { status, text } = await fresh.status();
    assert.deepEqual([status?.phase, status?.error?.code], ["failed", "usage/configuration"]);
    assert.match(text, /evidence\.allowInsecure/);
    assertState("The configuration is wrong", text);
    assert.match(text, /next: /);
  });

  await step("4. the configuration is not read yet", async () => {
    const { code } = await fresh.node.run(["mkfifo", "/etc/bootstrapper/later.yaml"]);
    assert.equal(code, 0);
    const running = fresh.run("--config", "/etc/bootstrapper/later.yaml");
    const { status } = await fresh.phase("starting");
    assert.equal(status?.isAlive, true);
    await running.kill();
    assert.equal((await fresh.status()).status?.phase, "killed");
  });

  await step("5. the image is not measured: exit 1, and status says so", async () => {
    await fresh.configure({ allowUnmeasuredImage: false });
    for (const _start of [1, 2]) assert.equal(await fresh.run().exitCode(), 1);
    const { status, text } = await fresh.status();
    assert.equal(status?.error?.code, "precondition/unmeasured-image");
    assert.match(text, /failures +2 starts in a row/);
  });

  let waiting: BootstrapperProcess | undefined;
  await step("6. a founder without node.role waits for its operator, as a control plane", async () => {
    await fresh.configure();
    waiting = fresh.run();
    const { status, text } = await fresh.phase("racing");
    assert.deepEqual([status?.isAlive, status?.role], [true, "control-plane"]);
    assert.equal(status?.waitsFor, "an operator's init");
    assert.equal(status?.failures, undefined);
    assert.match(text, /racing/);
    assertState("It waits for an operator's init", text);
  });

  await step("7. a second bootstrapper ends, and the status of the first stays", async () => {
    assert.equal(await fresh.run().exitCode(), 4);
    assert.deepEqual((await fresh.status()).status?.phase, "racing");
  });

  await step("8. a requested stop is no failure: exit 0", async () => {
    assert.equal(await waiting?.kill("SIGTERM"), 0);
    const { status, text } = await fresh.status();
    assert.deepEqual([status?.phase, status?.isAlive, status?.error], ["stopped", false, undefined]);
    assert.match(text, /asked to stop/);
    assertState("It was stopped", text);
  });

  await step("9. kill -9 while it waits", async () => {
    const running = fresh.run();
    await fresh.phase("racing");
    await running.kill();
    const { status, text } = await fresh.status();
    assert.deepEqual([status?.phase, status?.isAlive], ["killed", false]);
    assert.match(text, /ended without a word while it was racing/);
    assertState("It was killed", text);
  });

  await step("10. measured at boot, and measured in vain", async () => {
    assert.equal((await fresh.program("measure")).code, 0);
    assert.deepEqual((await fresh.status()).measured?.error, undefined);
    await fresh.configure({ unknown: 1 });
    assert.equal((await fresh.program("measure")).code, 2);
    const { measured, text } = await fresh.status();
    assert.equal(measured?.error?.code, "usage/document");
    assert.match(text, /^not measured +/m);
    assertState("Not measured at boot", text);
    await fresh.configure();
  });

  const worker = await machine("worker-1");
  await step("11. a locked worker goes on with its join, and says what it waits for and who failed", async () => {
    await worker.configure({ init: { enabled: false }, join: { endpoints: [NO_SERVICE] } });
    await worker.lock(ca, "join");
    const { code } = await worker.program("measure");
    assert.equal(code, 0);
    await writeJoinJournal(worker, ca);
    const running = worker.run();
    const shown = await worker.phase("joining");
    await waitUntil({ what: "a join that says what it waits for", deadlineMs: PATIENCE_MS }, async () => {
      const { text } = await worker.status();
      return /^last refusal/m.test(text)
        ? (assertState("A locked worker goes on with its join", text), text)
        : undefined;
    });
    assert.deepEqual([shown.status?.isAlive, shown.status?.role, shown.lock?.owner], [true, "worker", "join"]);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    assert.equal((await worker.status()).status?.phase, "stopped");
  });

  let since = "";
  await step("12. a member of an earlier version: exit 0, and its date stays at every boot", async () => {
    await worker.kubelet(ca, "worker-1");
    await worker.node.write(`${STATE}/member`, "2026-01-02T03:04:06.000Z\n", 0o644);
    for (const _boot of [1, 2]) {
      const running = worker.run();
      assert.equal(await running.exitCode(), 0, await running.output());
      const { status, member, text } = await worker.status();
      assert.deepEqual([status?.phase, status?.isAlive], ["member", false]);
      since = member?.since ?? "";
      assert.equal(since, "2026-01-02T03:04:06.000Z");
      assert.match(text, /^member since +2026-01-02T03:04:06/m);
      assertState("A member", text);
    }
    assert.match(await worker.node.read(`${STATE}/member`), /"nodeName":"worker-1"/);
  });

  await step("another user than root sees less of a member, and nothing that is wrong", async () => {
    const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] as const;
    const { code, output } = await worker.node.run([...user, ...BOOTSTRAPPER, "status", "--output", "json"]);
    assert.equal(code, 0, output);
    const { status, member }: Shown = JSON.parse(output.split("\n").find((line) => line.startsWith("{")) ?? "");
    assert.deepEqual([status?.phase, status?.isAlive, member?.since, member?.error], [
      ...["member", undefined, since, undefined],
    ]);
  });

  await step("13. /etc/kubernetes is gone: no member any more, before the next start and after it", async () => {
    await Deno.rename(worker.node.path("/etc/kubernetes/kubelet.conf"), worker.node.path("/etc/bootstrapper/kept"));
    const { status, member, text } = await worker.status();
    assert.deepEqual([status?.phase, member?.error?.code, member?.since], ["failed", "precondition/membership", since]);
    assert.match(text, /the kubelet has no kubeconfig any more/);
    assertState("A member whose kubelet has lost its kubeconfig", text);
    assert.match(text, /bootstrapper reset/);
    assert.equal(await worker.run().exitCode(), 1);
    const after = await worker.status();
    assert.deepEqual([after.status?.phase, after.member?.error?.code], ["failed", "precondition/membership"]);
    await Deno.rename(worker.node.path("/etc/bootstrapper/kept"), worker.node.path("/etc/kubernetes/kubelet.conf"));
    assert.equal(await worker.run().exitCode(), 0);
  });

  await step("14. kubeadm joined the machine to another cluster, or under another name", async () => {
    await worker.kubelet(await createCertificateAuthority(new Date()), "worker-1");
    const { text } = await worker.status();
    assert.match(text, /the kubelet belongs to another cluster than the lock/);
    assertState("The kubelet belongs to another cluster", text);
    assert.equal(await worker.run().exitCode(), 1);
    await worker.kubelet(ca, "worker-2");
    assert.match((await worker.status()).text, /the kubelet's certificate is another node's/);
    assert.equal(await worker.run().exitCode(), 1);
    await worker.kubelet(ca, "worker-1");
    assert.equal(await worker.run().exitCode(), 0);
  });

  await step("15. the configuration names another node than the member", async () => {
    await worker.configure({ init: { enabled: false }, join: { endpoints: [NO_SERVICE] }, node: { name: "worker-9" } });
    const running = worker.run();
    assert.equal(await running.exitCode(), 1);
    await running.event({
      event: "run-failed",
      code: "precondition/membership",
      expected: "worker-1",
      seen: "worker-9",
    });
    // Only a start reads the configuration: its word stands until the next one.
    assert.equal((await worker.status()).status?.error?.code, "precondition/membership");
    await worker.configure({ init: { enabled: false }, join: { endpoints: [NO_SERVICE] } });
    assert.equal(await worker.run().exitCode(), 0);
  });

  await step("16. a reset that was interrupted, and one at work", async () => {
    const marker = '{"version":1,"startedAt":"2026-01-03T00:00:00.000Z","etcdPeers":[]}\n';
    await worker.node.write(`${STATE}/reset.json`, marker, 0o644);
    await Deno.remove(worker.node.path(`${STATE}/status.json`));
    const { status, reset, text } = await worker.status();
    assert.deepEqual([status?.phase, reset?.startedAt], ["reset-interrupted", "2026-01-03T00:00:00.000Z"]);
    assert.match(text, /run `bootstrapper reset` again/);
    assertState("A reset was interrupted", text);
    assert.equal(await worker.run().exitCode(), 1);
    assert.equal((await worker.status()).status?.phase, "reset-interrupted");
    const holder = holdRunLock(worker.node);
    await worker.phase("resetting");
    await holder.kill();
    await Deno.remove(worker.node.path(`${STATE}/reset.json`));
  });

  await step("17. a lock of a newer program: the program is to be replaced, not the machine", async () => {
    const path = worker.node.path(`${STATE}/node.lock`);
    const lock = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, `{"version":2,"cluster":"${"x".repeat(1000)}"}\n`);
    const { code, status, text } = await worker.status();
    assert.deepEqual([code, status?.phase], [1, "failed"]);
    assert.match(text, /Use the newer program/);
    assert.doesNotMatch(text, /rebuild|from its image/);
    assert.equal(await worker.run().exitCode(), 1);
    await Deno.writeTextFile(path, lock);
    assert.equal(await worker.run().exitCode(), 0);
  });

  await step("18. the lock is gone from a member", async () => {
    await Deno.remove(worker.node.path(`${STATE}/node.lock`));
    const { status, member } = await worker.status();
    assert.deepEqual([status?.phase, member?.error?.code], ["failed", "precondition/membership"]);
  });
});

/** Holds the run lock, as a reset at work does. */
function holdRunLock(node: WorldNode): NodeProcess {
  return node.start(["flock", "--exclusive", `${STATE}/run.lock`, "sleep", "600"]);
}

/** Writes the journal of a join that has just taken the lock. */
async function writeJoinJournal(machine: Machine, ca: CertificateAuthority): Promise<void> {
  const { encodeJournal } = await import("../../../journal/_journal_file.ts");
  const clusterId = (await clusterIdOf(ca.certificate)).toHex();
  const head = { owner: "join", role: "worker", clusterId, nodeName: machine.node.name } as const;
  await machine.node.write(`${STATE}/journal/join`, await encodeJournal({ head, steps: [], events: [] }), 0o644);
}
