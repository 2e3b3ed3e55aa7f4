/**
 * Backup and drill against a cluster that kubeadm made: real etcd, API server and etcdutl.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { createRecipientKeys, recipientKeyPem, recipientText } from "../../../backup/recipient.ts";
import { unpackBackup } from "../../../backup/unpack.ts";
import { issueServiceCertificate } from "../../../certificate/ca.ts";
import { clusterIdOf, clusterIdText } from "../../../certificate/cluster_id.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { makeBackup } from "../../../node/backup.ts";
import { nodePaths } from "../../../node/paths.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { repositoryRoot } from "../../world.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { prepareEtcdutl } from "../../tools/prepare_etcdutl.ts";
import type { WorldNode } from "../../world_node.ts";
import { TestCluster } from "./cluster.ts";
import { etcdctl } from "./_etcd.ts";

const POLICY = "version: 1\nvariant: none\n";
const WAIT_MS = 120_000;

Deno.test("a cluster's backup", async (t) => {
  await using cluster = await TestCluster.create();
  await using folders = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  const programs = await prepareEtcdutl();
  for (const made of [folder, programs]) folders.defer(() => Deno.remove(made, { recursive: true }));
  const node = cluster.controlPlane;
  const paths = nodePaths(rootOf(node));
  const clusterId = await layJoinService(cluster, paths.joinService);
  const keys = await createRecipientKeys();
  const key = join(folder, "backup.key");
  await Deno.writeTextFile(key, await recipientKeyPem(keys), { mode: 0o600 });
  const recipients = [keys.publicKey];
  const signal = new AbortController().signal;
  const parts = { paths, clock: systemClock, program: "0.1.0", recipients, signal };
  const target = join(folder, "test.backup");
  const put = (name: string) => etcdctl(node, "put", `/registry/backup-test/${name}`, name);
  await put("before");

  await t.step("makeBackup() has all of a running control plane, and reads it back", async () => {
    const { read, subject } = await makeBackup({ ...parts, target });
    assert.equal(subject.clusterName, "test");
    assert.deepEqual(subject.clusterId, clusterId);
    assert.match(read.contents.source.etcdVersion, /^3\./);
    assert.equal(read.contents.source.peerUrl, `https://${node.ip}:2380`);
    await put("after");
    const out = join(folder, "unpacked");
    await unpackBackup({ file: target, keys, clusterId, now: new Date() }, out);
    assert.equal(await Deno.readTextFile(join(out, "pki/ca.key")), await node.read("/etc/kubernetes/pki/ca.key"));
    assert.equal(await Deno.readTextFile(join(out, "pki/sa.key")), await node.read("/etc/kubernetes/pki/sa.key"));
    const { code, stdout } = await systemCommands.run(
      [join(programs, "etcdutl"), "snapshot", "status", join(out, "snapshot.db"), "--write-out=json"],
      { deadlineMs: WAIT_MS },
    );
    assert.equal(code, 0, stdout);
    assert.ok(BigInt(JSON.parse(stdout).revision) >= read.contents.source.revision, stdout);
  });

  await t.step(
    "restore --drill reads the cluster back with revisions that no watch has seen, and leaves nothing",
    async () => {
      const before = await drillFolders();
      const found = await drillByCommand(
        target,
        "--key",
        key,
        "--programs",
        programs,
        "--cluster-id",
        clusterIdText(clusterId),
      );
      assert.equal(found.clusterName, "test");
      assert.ok(found.objects > 50, `${found.objects} objects`);
      assert.ok(BigInt(found.restoredRevision) >= BigInt(found.backupRevision) + 1_000_000_000n);
      assert.deepEqual(found.nodes, [node.name]);
      assert.equal(found.steps.length, 4);
      assert.deepEqual(await drillFolders(), before);
    },
  );

  await t.step("`bootstrapper backup` on the control plane keeps as many backups as it is told", async () => {
    await node.write("/etc/bootstrapper/backup-recipients", `# the test\'s\n${recipientText(keys.publicKey)}\n`);
    await node.write("/var/lib/bootstrapper/backups/notes", "");
    const main = fileURLToPath(import.meta.resolve("../../../main.ts"));
    for (let time = 0; time < 2; time++) {
      const command = [...DENO_RUN, main, "backup", "--to", "/var/lib/bootstrapper/backups", "--keep", "1"] as const;
      const { code, output } = await node.run(command as unknown as [string, ...string[]]);
      assert.equal(code, 0, output);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
    }
    const names = await Array.fromAsync(Deno.readDir(node.path("/var/lib/bootstrapper/backups")));
    assert.equal(names.filter(({ name }) => /^test-\d{8}T\d{6}Z\.backup$/.test(name)).length, 1);
    assert.equal(names.length, 2);
  });

  await t.step("a backup that was killed at any time leaves the one before whole", async () => {
    const recipientsFile = join(folder, "recipients");
    await Deno.writeTextFile(recipientsFile, `# the test's\n${recipientText(keys.publicKey)}\n`);
    const script = join(folder, "back_up.ts");
    await Deno.writeTextFile(script, killedBackup(rootOf(node), target, recipientText(keys.publicKey)));
    for (const afterMs of [0, 20, 60, 120, 250, 500, 900]) {
      const child = new Deno.Command(DENO_RUN[0], {
        args: [...DENO_RUN.slice(1), `--config=${repositoryRoot}/deno.json`, script],
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.getReader();
      assert.equal(new TextDecoder().decode((await reader.read()).value), "begins\n");
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill("SIGKILL");
      await reader.cancel();
      assert.equal((await child.status).signal, "SIGKILL");
      // Either the earlier backup, or a whole new one.
      const out = join(folder, `after-${afterMs}`);
      await unpackBackup({ file: target, keys, clusterId, now: new Date() }, out);
    }
  });

  await t.step("makeBackup() needs no quorum", async () => {
    // A second member that never starts: two voters, one alive.
    await waitUntil(
      { what: "a second member", deadlineMs: WAIT_MS },
      async () => await etcdctl(node, "member", "add", "lost", "--peer-urls=https://10.255.255.1:2380") !== undefined,
    );
    await waitUntil(
      { what: "the loss of quorum", deadlineMs: WAIT_MS },
      async () => await etcdctl(node, "get", "x", "--command-timeout=2s") === undefined,
    );
    const alone = join(folder, "alone.backup");
    const { read } = await makeBackup({ ...parts, target: alone });
    const found = await drillByCommand(alone, "--key", key, "--programs", programs);
    assert.ok(BigInt(found.restoredRevision) > read.contents.source.revision);
  });

  await t.step("makeBackup() names what a machine lacks", async () => {
    const worker = { ...paths, kubernetes: join(folder, "nothing") };
    await assert.rejects(makeBackup({ ...parts, target, paths: worker }), { code: "precondition/not-a-control-plane" });
    const bare = { ...paths, joinService: join(folder, "nothing") };
    await assert.rejects(makeBackup({ ...parts, target, paths: bare }), { code: "precondition/no-join-service" });
    await assert.rejects(makeBackup({ ...parts, target, retention: { count: 1 } }), { code: "usage/backup-target" });
  });
});

const drillSchema = v.looseObject({
  ...{ clusterName: v.string(), backupRevision: v.string(), restoredRevision: v.string(), objects: v.number() },
  nodes: v.array(v.string()),
  steps: v.array(v.object({ name: v.string(), ms: v.number() })),
});

/** Runs `bootstrapper restore --drill` as an operator does, without the permissions that it drops. */
async function drillByCommand(...args: readonly string[]): Promise<v.InferOutput<typeof drillSchema>> {
  const main = fileURLToPath(import.meta.resolve("../../../main.ts"));
  const [program, ...run] = DENO_RUN;
  const command = new Deno.Command(program, {
    args: [...run, main, "restore", ...args, "--drill", "--output", "json"],
  });
  const { stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout);
  return v.parse(drillSchema, JSON.parse(text), { message: `${text}${new TextDecoder().decode(stderr)}` });
}

function rootOf(node: WorldNode): string {
  return node.path("/etc/kubernetes").slice(0, -"/etc/kubernetes".length);
}

/** Writes the state of a join service, as an init does, and returns the cluster ID. */
async function layJoinService(cluster: TestCluster, folder: string) {
  const ca = await cluster.ca.authority();
  const [keys, operator] = [await generateKeyPair("p-256"), await generateKeyPair("ed25519")];
  const clusterId = await clusterIdOf(ca.certificate);
  await writeServiceState(folder, {
    keys,
    certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, new Date())).der,
    caCertificate: ca.certificate.der,
    foundings: [],
    trust: { clusterName: "test", clusterId, operatorKeys: [operator.spki] },
    policyDocument: POLICY,
    clusterDocument: "kubernetesVersion: v1.36.3\n",
    listen: "10.0.0.1:9444",
    apiServer: "https://127.0.0.1:6443",
    apiEndpoints: ["10.0.0.1:6443"],
    joinEndpoints: ["10.0.0.1:9444"],
  });
  return clusterId;
}

/** A program that says when it begins, and makes backups until it is killed. */
function killedBackup(root: string, target: string, recipient: string): string {
  const url = (path: string) => JSON.stringify(import.meta.resolve(`../../../${path}`));
  return `import { makeBackup } from ${url("node/backup.ts")};
import { nodePaths } from ${url("node/paths.ts")};
import { readRecipient } from ${url("backup/recipient.ts")};
import { systemClock } from ${url("platform/clock.ts")};
const recipients = [readRecipient(${JSON.stringify(recipient)}, "recipient")];
const parts = { paths: nodePaths(${JSON.stringify(root)}), clock: systemClock, program: "0.1.0", recipients };
console.log("begins");
for (;;) await makeBackup({ ...parts, target: ${JSON.stringify(target)}, signal: new AbortController().signal });
`;
}

async function drillFolders(): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir("/tmp"))).map(({ name }) => name);
  return names.filter((name) => name.startsWith("bootstrapper-drill-"));
}
