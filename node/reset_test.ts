import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { LockFile } from "../nodelock/file.ts";
import { encodeLockRecord } from "../nodelock/record.ts";
import type { LockOwner } from "../nodelock/record.ts";
import { takeRunLock } from "../nodelock/run_lock.ts";
import { systemClock } from "../platform/clock.ts";
import type { CommandResult, CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import { silentLog } from "../platform/log.ts";
import { firstTicketRecorder } from "../service/first_ticket.ts";
import { recordFounder } from "./founder.ts";
import { nodePaths } from "./paths.ts";
import type { ResetDependencies } from "./reset.ts";
import { checkCanReset, RESET_STEPS, resetNode } from "./reset.ts";
import { checkNoReset } from "./reset_marker.ts";

const STATE = "var/lib/bootstrapper";
const FILES = [
  ...["etc/kubernetes/pki/ca.key", "etc/kubernetes/admin.conf", "var/lib/kubelet/config.yaml"],
  ...["var/lib/kubelet/pki/kubelet.key", "var/lib/etcd/member/wal/0.wal", "run/bootstrapper/node.key"],
  ...["journal/init", "node.lock", "member", "init/ca.key", "join-service/service.key", ".reset.json.x.tmp"]
    .map((name) => join(STATE, name)),
];
const ENDED: CommandResult = { code: 0, stdout: "", stderr: "" };

/** A worker below a temporary folder, with programs that answer by a script. */
class Node implements AsyncDisposable {
  readonly ran: string[] = [];
  readonly answers: Record<string, Partial<CommandResult>> = {};
  readonly deps: ResetDependencies;

  private constructor(readonly root: string) {
    const commands: CommandRunner = {
      run: (argv) => {
        const command = argv.join(" ");
        this.ran.push(command);
        const [, answer] = Object.entries(this.answers).find(([start]) => command.startsWith(start)) ??
          ["", { code: argv[1] === "is-active" ? 3 : 0 }];
        return Promise.resolve({ ...ENDED, ...answer });
      },
    };
    this.deps = {
      ...{ paths: nodePaths(root), commands, clock: systemClock, log: silentLog, force: false },
      openEtcd: () => assert.fail("a worker has no etcd"),
    };
  }

  static async create(): Promise<Node> {
    const node = new Node(await Deno.makeTempDir());
    for (const file of FILES) {
      await Deno.mkdir(dirname(join(node.root, file)), { recursive: true });
      await Deno.writeTextFile(join(node.root, file), file);
    }
    return node;
  }

  /** Returns the files that exist. */
  async left(): Promise<string[]> {
    const found = await Promise.all(FILES.map(async (file) => await exists(join(this.root, file)) ? [file] : []));
    return found.flat();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.root, { recursive: true });
  }
}

Deno.test("resetNode() runs its steps in order, holds the run lock, and leaves empty folders", async () => {
  await using node = await Node.create();
  const steps: string[] = [];
  const warnings = await resetNode(node.deps, ({ name }, state) => steps.push(`${name} ${state}`));
  assert.deepEqual(warnings, []);
  assert.deepEqual(steps, RESET_STEPS.flatMap(({ name }) => [`${name} started`, `${name} done`]));
  assert.deepEqual(await node.left(), []);
  for (const folder of ["etc/kubernetes", "var/lib/kubelet", "var/lib/etcd", "run/bootstrapper"]) {
    assert.deepEqual([...Deno.readDirSync(join(node.root, folder))], []);
  }
  assert.deepEqual([...Deno.readDirSync(join(node.root, STATE))].map(({ name }) => name), ["run.lock"]);
  const stops = node.ran.filter((command) => /^systemctl stop|^kubeadm/.test(command));
  assert.deepEqual(stops.map((command) => command.split(" ").slice(0, 3).join(" ")), [
    "systemctl stop bootstrapper.service",
    "systemctl stop bootstrapper-renew.service",
    "systemctl stop bootstrapper-join-signer.service",
    "systemctl stop bootstrapper-join-front.service",
    "systemctl stop kubelet.service",
    "kubeadm reset --force",
  ]);
});

Deno.test("resetNode() removes journal, lock and marker last, in that order", async () => {
  await using node = await Node.create();
  const left: Record<string, readonly string[]> = {};
  await resetNode(node.deps, ({ name }, state) => {
    if (state === "done") left[name] = [...Deno.readDirSync(node.deps.paths.state)].map((entry) => entry.name).sort();
  });
  assert.deepEqual(left["state-folder"], ["journal", "node.lock", "renewal.lock", "reset.json", "run.lock"]);
  assert.deepEqual(left["journal"], ["node.lock", "renewal.lock", "reset.json", "run.lock"]);
  assert.deepEqual(left["lock"], ["renewal.lock", "reset.json", "run.lock"]);
});

Deno.test("resetNode() continues after it was killed in or after any step", async () => {
  for (const { name } of RESET_STEPS) {
    for (const when of ["started", "done"]) {
      await using node = await Node.create();
      const killed = resetNode(node.deps, (step, state) => {
        if (step.name === name && state === when) throw new Error("killed");
      });
      await assert.rejects(killed, { message: "killed" });
      await assert.rejects(checkNoReset(node.deps.paths.state), { code: "precondition/reset-under-way" });
      await resetNode(node.deps, () => {});
      assert.deepEqual(await node.left(), []);
      await checkNoReset(node.deps.paths.state);
    }
  }
});

Deno.test("resetNode() changes nothing when a bootstrapper runs, or its unit does not stop", async () => {
  await using node = await Node.create();
  {
    using _held = await takeRunLock(node.deps.paths.state);
    await assert.rejects(resetNode(node.deps, () => {}), { code: "conflict/run" });
  }
  node.answers["systemctl is-active bootstrapper.service"] = { code: 0 };
  node.answers["systemctl stop bootstrapper.service"] = { code: 1, stderr: "Access denied\n" };
  await assert.rejects(
    resetNode(node.deps, () => {}),
    ({ code, message }) => code === "system/unit" && message.includes("Access denied"),
  );
  assert.deepEqual(await node.left(), FILES);
  await checkNoReset(node.deps.paths.state);
});

Deno.test("resetNode() does not empty a folder with volumes in it, or after kubeadm failed", async () => {
  const cases: readonly (readonly [string, Partial<CommandResult>, string])[] = [
    ["kubeadm reset", { code: 1, stderr: "error: failed to unmount\n" }, "system/kubeadm-reset"],
    ["findmnt", { stdout: "/\nROOT/var/lib/kubelet/pods/1/volumes/nfs\n" }, "precondition/mounted"],
  ];
  for (const [command, answer, code] of cases) {
    await using node = await Node.create();
    const stdout = answer.stdout?.replace("ROOT", node.root) ?? "";
    node.answers[command] = { ...answer, stdout };
    await assert.rejects(resetNode(node.deps, () => {}), { code });
    assert.deepEqual(await node.left(), FILES);
    node.answers[command] = { stdout: `/\n${node.root}/var/lib/kubelet\n${node.root}/var/lib/kubelet-other\n` };
    await resetNode(node.deps, () => {});
    assert.deepEqual(await node.left(), []);
  }
});

Deno.test("resetNode() ends the etcd of a founding before its files go, and asks for no ctr on other machines", async () => {
  await using node = await Node.create();
  await resetNode(node.deps, () => {});
  assert.deepEqual(node.ran.filter((command) => command.startsWith("ctr ")), []);
  const key = join(node.deps.paths.founding, "key.pem");
  await Deno.mkdir(node.deps.paths.founding, { recursive: true });
  await Deno.writeTextFile(key, "F");
  node.answers["ctr --namespace k8s.io containers list"] = { stdout: "bootstrapper-founding-etcd\n" };
  await assert.rejects(resetNode(node.deps, () => {}), { code: "unavailable/founding-etcd" });
  node.answers["ctr --namespace k8s.io containers list"] = { code: 1, stderr: "ctr: cannot connect\n" };
  await assert.rejects(resetNode(node.deps, () => {}), {
    code: "unavailable/founding-etcd",
    message: /cannot connect/,
  });
  assert.ok(await exists(key));
  node.answers["ctr --namespace k8s.io containers list"] = { stdout: "other\n" };
  await resetNode(node.deps, () => {});
  assert.ok(node.ran.includes("ctr --namespace k8s.io tasks kill --signal SIGKILL bootstrapper-founding-etcd"));
  assert.equal(await exists(key), false);
});

Deno.test("resetNode() passes on kubeadm's warnings", async () => {
  await using node = await Node.create();
  const stderr =
    "I1121 05:00:00.000000       1 x.go:1] fine\nW1121 05:00:00.000000       1 x.go:9] no containerd\nplain\n";
  node.answers["kubeadm reset"] = { stderr };
  assert.deepEqual(await resetNode(node.deps, () => {}), ["kubeadm: no containerd"]);
});

Deno.test("checkCanReset() accepts a worker, and with force every node", async () => {
  await using node = await Node.create();
  await checkCanReset(node.deps);
  await Deno.mkdir(join(node.root, "etc/kubernetes/manifests"));
  await Deno.writeTextFile(join(node.root, "etc/kubernetes/manifests/etcd.yaml"), "torn");
  await assert.rejects(checkCanReset(node.deps), { code: "malformed/etcd-manifest" });
  await checkCanReset({ ...node.deps, force: true });
});

Deno.test("checkCanReset() and resetNode() need no force on a founder that has let nobody in, whether or not its etcd answers", async () => {
  const silent = new BootstrapError("unavailable/etcd", "etcd does not answer");
  const own = {
    name: "cp-1",
    peerUrls: ["https://10.0.0.1:2380"],
    clientUrls: ["https://10.0.0.1:2379"],
    isLearner: false,
  };
  const others = [{ ...own, id: "1" }, { ...own, id: "2", name: "cp-2", peerUrls: ["https://10.0.0.2:2380"] }];
  for (
    const [what, isAllowed, change] of [
      ["no join service yet", true, (node: Founder) => node.remove("join-service")],
      ["no ticket was made", true, () => Promise.resolve()],
      ["a ticket was made", false, (node: Founder) => node.ticket()],
      ["tickets were not recorded", false, (node: Founder) => node.remove("founder")],
      ["the node joined", false, (node: Founder) => node.lock("join")],
    ] as const
  ) {
    await using node = await Founder.create();
    await change(node);
    const etcd = { health: () => Promise.reject(silent), remove: () => assert.fail(), [Symbol.dispose]() {} };
    const deps = { ...node.deps, openEtcd: () => etcd };
    if (!isAllowed) {
      await assert.rejects(checkCanReset(deps), { code: "unavailable/etcd", next: /--force/ }, what);
      continue;
    }
    await checkCanReset(deps);
    assert.deepEqual(await resetNode(deps, () => {}), [], what);
    assert.equal(await exists(join(node.state, "node.lock")), false);
    // etcd answers: it alone decides.
    await using other = await Founder.create();
    const health = (members: typeof others) => Promise.resolve({ members, healthy: new Set(["1"]), leaderless: false });
    await checkCanReset({ ...other.deps, openEtcd: () => ({ ...etcd, health: () => health(others.slice(0, 1)) }) });
    const two = { ...other.deps, openEtcd: () => ({ ...etcd, health: () => health(others) }) };
    await assert.rejects(checkCanReset(two), { code: "precondition/etcd-quorum" });
  }
});

/** A control plane that founded its cluster, with a join service that has made no ticket. */
class Founder {
  private constructor(readonly node: Node) {}

  get deps() {
    return this.node.deps;
  }

  get state(): string {
    return this.deps.paths.state;
  }

  static async create(): Promise<Founder> {
    const founder = new Founder(await Node.create());
    const { paths } = founder.deps;
    await founder.lock("init");
    const write = async (path: string, text: string) => {
      await Deno.mkdir(dirname(path), { recursive: true });
      await Deno.writeTextFile(path, text);
    };
    await write(join(paths.joinService, "state.json"), "{}");
    await recordFounder(paths.state);
    await write(
      join(paths.kubernetes, "manifests/etcd.yaml"),
      "spec: {containers: [{command: [etcd, --advertise-client-urls=https://10.0.0.1:2379, " +
        "--initial-advertise-peer-urls=https://10.0.0.1:2380, --initial-cluster=cp-1=https://10.0.0.1:2380]}]}\n",
    );
    for (const name of ["ca.crt", "healthcheck-client.crt", "healthcheck-client.key"]) {
      await write(join(paths.kubernetes, "pki/etcd", name), name);
    }
    return founder;
  }

  async lock(owner: LockOwner): Promise<void> {
    const record = { owner, clusterId: new Uint8Array(32), time: new Date(0) };
    await Deno.writeFile(new LockFile(this.state).path, await encodeLockRecord(record));
  }

  ticket(): Promise<void> {
    return firstTicketRecorder(this.deps.paths.joinSigner, () => new Date(0))();
  }

  remove(name: string): Promise<void> {
    return Deno.remove(join(this.state, name), { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.node[Symbol.asyncDispose]();
  }
}
