import assert from "node:assert/strict";
import * as v from "valibot";
import { decodeJournal } from "../../../journal/_journal_file.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { EtcdCluster } from "../../../kubernetes/etcd.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { utf8 } from "../../../platform/bytes.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { LOCK_STEPS, STEPS, type Way } from "./crash_points.ts";
import type { RunMachine } from "../node/run_machine.ts";
import { PATIENCE_MS } from "../node/run_process.ts";

const STATE = "/var/lib/bootstrapper";
const namesSchema = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });
const namespaceSchema = v.object({ metadata: v.object({ uid: v.string() }) });
const statusSchema = v.object({ phase: v.string() });

/** The parts of a node's state that must survive every crash, as far as the node already has them. */
export interface Marks {
  readonly lock?: string;
  /** The private key of the cluster's CA. */
  readonly caKey?: string;
  /** The inode of etcd's log; a different inode means a different etcd. */
  readonly etcdData?: string;
  /** The cluster's own ID, which the first API server creates in an empty etcd. */
  readonly clusterUid?: string;
}

/** A cluster with its first control plane. */
export class CrashCluster implements Disposable {
  readonly #founder: RunMachine;
  readonly #api: KubernetesApi;
  readonly #etcd: EtcdCluster;

  private constructor(founder: RunMachine, api: KubernetesApi, etcd: EtcdCluster) {
    this.#founder = founder;
    this.#api = api;
    this.#etcd = etcd;
  }

  /** Reads the cluster that runs on a machine. */
  static async of(founder: RunMachine): Promise<CrashCluster> {
    const { node } = founder;
    const pem = (name: string) => node.read(`/etc/kubernetes/pki/etcd/${name}`);
    const etcd = new EtcdCluster([`${node.ip}:2379`], {
      caPem: await pem("ca.crt"),
      certificatePem: await pem("healthcheck-client.crt"),
      keyPem: await pem("healthcheck-client.key"),
    });
    return new CrashCluster(founder, await apiOf(founder), etcd);
  }

  get founder(): RunMachine {
    return this.#founder;
  }

  /** Asserts that the machine is a complete member, and that it became one in the same way as it began. */
  async assertMember(machine: RunMachine, way: Way, earlier: Marks): Promise<void> {
    const { name } = machine.node;
    const { phase } = v.parse(statusSchema, JSON.parse(await machine.text(`${STATE}/status.json`)));
    assert.equal(phase, "member");
    await this.#assertOneNode(name);
    await this.#assertEtcd(way === "worker" ? [] : [name]);
    const marks = await marksOf(machine);
    for (const key of ["lock", "caKey", "etcdData", "clusterUid"] as const) {
      // A joining control plane may have to start its etcd member again.
      if (earlier[key] === undefined || (key === "etcdData" && way !== "init")) continue;
      assert.equal(marks[key], earlier[key], `${key} of ${name} is another one`);
    }
    await assertJournal(machine, way);
    await assertNothingLeft(machine);
    const again = machine.start();
    assert.equal(await again.exitCode(), 0, await again.output());
    const phases = (await again.events()).filter(({ event }) => event === "phase-started").map(({ phase }) => phase);
    assert.deepEqual(phases, ["detect"]);
  }

  /** Removes the members of a name from etcd. etcd refuses that for some seconds after a member has joined. */
  async leaveEtcd(name: string): Promise<void> {
    await waitUntil({ what: `etcd without ${name}`, deadlineMs: PATIENCE_MS }, async () => {
      try {
        for (const member of await this.#etcd.members()) if (member.name === name) await this.#etcd.remove(member.id);
        return true;
      } catch (error) {
        if (!(error instanceof BootstrapError && error.retriable)) throw error;
        return false;
      }
    });
  }

  async #assertOneNode(name: string): Promise<void> {
    const { items } = await this.#api.get("/api/v1/nodes", namesSchema);
    const names = items.map(({ metadata }) => metadata.name);
    assert.deepEqual(names.filter((one) => one === name), [name], `the Nodes are ${names.join()}`);
  }

  /** Asserts that all members are voters, and that the founder and each of the others has one member. */
  async #assertEtcd(others: readonly string[]): Promise<void> {
    const members = await this.#etcd.members();
    const names = [...new Set([this.#founder.node.name, ...others])].sort();
    assert.deepEqual(members.map(({ name }) => name).sort(), names);
    assert.ok(members.every(({ isLearner }) => !isLearner), JSON.stringify(members));
  }

  [Symbol.dispose](): void {
    this.#api[Symbol.dispose]();
    this.#etcd[Symbol.dispose]();
  }
}

async function apiOf({ node }: RunMachine): Promise<KubernetesApi> {
  return new KubernetesApi(await readKubeconfig(node.path("/etc/kubernetes/admin.conf")));
}

/** Reads the marks that the machine has. */
export async function marksOf(machine: RunMachine): Promise<Marks> {
  const entries: Readonly<Record<keyof Marks, string | undefined>> = {
    lock: await machine.file(`${STATE}/node.lock`),
    caKey: await machine.file("/etc/kubernetes/pki/ca.key"),
    etcdData: await inodeOf(machine.node.path("/var/lib/etcd/member/wal")),
    clusterUid: await clusterUid(machine).catch(() => undefined),
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

async function inodeOf(path: string): Promise<string | undefined> {
  const info = await Deno.stat(path).catch(() => undefined);
  return info?.ino === undefined ? undefined : String(info.ino);
}

async function clusterUid(machine: RunMachine): Promise<string> {
  using api = await apiOf(machine);
  return (await api.get("/api/v1/namespaces/kube-system", namespaceSchema)).metadata.uid;
}

/** Asserts that no second copy of a key is left by a join or by a killed writer. */
async function assertNothingLeft({ node }: RunMachine): Promise<void> {
  const folders = ["/run/bootstrapper", "/etc/kubernetes", `${STATE}/init`, `${STATE}/join-service`];
  const { output } = await node.run([
    "find",
    ...[...folders, "-type", "f", "(", "-path", "/run/bootstrapper/*", "-o", "-name", ".*.tmp", ")", "-print"],
  ]);
  assert.deepEqual(output.split("\n").filter((line) => line !== "" && !line.startsWith("find:")), []);
}

async function assertJournal(machine: RunMachine, way: Way): Promise<void> {
  const path = `${STATE}/journal/${way === "init" ? "init" : "join"}`;
  const text = await machine.text(path);
  assert.doesNotMatch(text, /PRIVATE KEY/);
  const [, caKey] = /-\n(\S{40})/.exec(await machine.file("/etc/kubernetes/pki/ca.key") ?? "") ?? [];
  assert.ok(caKey === undefined ? way === "worker" : !text.includes(caKey), "the journal has the CA's key");
  const { steps } = await decodeJournal(utf8(text), path);
  // The lock file itself proves the lock step: a node that was killed right after it continues with the next step.
  const notDone = steps.filter(({ name, done }) => done === undefined && name !== LOCK_STEPS[way]);
  assert.deepEqual(notDone.map(({ name }) => name), []);
  const names = steps.map(({ name }) => name);
  assert.deepEqual(names.filter((name) => STEPS[way].includes(name)), names);
  assert.deepEqual([...names].sort(), [...STEPS[way]].sort());
}

/** Waits until the machine's join service answers. */
export async function untilJoinServiceAnswers({ node }: RunMachine): Promise<void> {
  await waitUntil({ what: `join service on ${node.name}`, deadlineMs: PATIENCE_MS }, async () => {
    const log = await node.run(["sh", "-c", "cat /var/log/bootstrapper-join-*.log"]);
    return log.output.includes('"join-service-started"') && log.output.includes('"join-signer-started"');
  });
}
