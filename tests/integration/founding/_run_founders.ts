import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { EtcdCluster } from "../../../kubernetes/etcd.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { base64 } from "../../../platform/bytes.ts";
import { createFoundingToken, deriveToken } from "../../../protocol/founding_token.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { MachineOptions, RunChanges, RunMachine } from "../node/run_machine.ts";
import { CLUSTER_NAME, type RunWorld } from "../node/run_machine.ts";
import { BOOTSTRAPPER, type BootstrapperProcess, PATIENCE_MS } from "../node/run_process.ts";

/** The founding token of these tests, and the public half of it. */
export const TOKEN = createFoundingToken();
export const TOKEN_KEY = base64((await deriveToken(TOKEN, CLUSTER_NAME, "the test")).spki);

const LOCK = "/var/lib/bootstrapper/node.lock";
const nodesSchema = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });

/** How founders differ from three that have a token and nothing special. */
export interface FounderOptions {
  /** `trust.founding`. Default: the token's key, and the size that is given. */
  readonly trust?: Readonly<Record<string, unknown>>;
  /** `founding`, besides the peers. */
  readonly own?: Readonly<Record<string, unknown>>;
  /** `null`: none. Default: {@linkcode TOKEN}. */
  readonly token?: string | null;
  readonly machine?: Partial<MachineOptions>;
}

/** Makes a founder that has booted. Its peers may be machines that are not there. */
export async function founder(
  world: RunWorld,
  name: string,
  peers: readonly string[],
  { trust, own, token = TOKEN, machine }: FounderOptions,
): Promise<RunMachine> {
  const nodes = await Promise.all(peers.map((peer) => world.world.node(peer)));
  return await world.machine(name, "", {
    init: false,
    founding: {
      trust: { size: peers.length, tokenKey: TOKEN_KEY, ...trust },
      own: { peers: nodes.map(({ ip }) => ip), ...own },
      ...(token === null ? {} : { token }),
    },
    ...machine,
  });
}

/** Makes founders with one configuration, as many as their trust part asks for. */
export async function founders(
  world: RunWorld,
  names: readonly string[],
  options: FounderOptions = {},
): Promise<readonly RunMachine[]> {
  const machines: RunMachine[] = [];
  for (const name of names) machines.push(await founder(world, name, names, options));
  return machines;
}

/** Waits until each process has ended well. */
export async function ends(running: readonly BootstrapperProcess[]): Promise<void> {
  for (const one of running) assert.equal(await one.exitCode(), 0, await one.output());
}

/** A machine's node lock. */
export async function lockOf(machine: RunMachine): Promise<{ readonly owner?: string; readonly clusterId?: string }> {
  return JSON.parse(await machine.file(LOCK) ?? "{}");
}

/**
 * Asserts that the machines are one cluster: one cluster ID in all locks, one lock as init, every one of them a Node, and
 * the control planes, and nobody else, voters of its etcd.
 */
export async function assertOneCluster(
  controlPlanes: readonly RunMachine[],
  workers: readonly RunMachine[] = [],
): Promise<void> {
  const machines = [...controlPlanes, ...workers];
  const locks = await Promise.all(machines.map(lockOf));
  assert.equal(new Set(locks.map(({ clusterId }) => clusterId)).size, 1, JSON.stringify(locks));
  assert.equal(locks.filter(({ owner }) => owner === "init").length, 1, JSON.stringify(locks));
  const first = controlPlanes[locks.findIndex(({ owner }) => owner === "init")] ?? assert.fail("no founder");
  using api = new KubernetesApi(await readKubeconfig(first.node.path("/etc/kubernetes/admin.conf")));
  const names = (all: readonly RunMachine[]) => all.map(({ node: { name } }) => name).sort();
  const { items } = await api.get("/api/v1/nodes", nodesSchema);
  assert.deepEqual(items.map(({ metadata: { name } }) => name).sort(), names(machines));
  const pem = (name: string) => first.node.read(`/etc/kubernetes/pki/etcd/${name}`);
  using etcd = new EtcdCluster([`${first.node.ip}:2379`], {
    caPem: await pem("ca.crt"),
    certificatePem: await pem("healthcheck-client.crt"),
    keyPem: await pem("healthcheck-client.key"),
  });
  const members = await etcd.members();
  assert.deepEqual(members.map(({ name }) => name).sort(), names(controlPlanes));
  assert.ok(members.every(({ isLearner }) => !isLearner), JSON.stringify(members));
}

/** What `bootstrapper status` prints on a machine. */
export async function statusText({ node }: RunMachine): Promise<string> {
  return (await node.run([...BOOTSTRAPPER, "status"])).output;
}

/** Prints what a machine shows, if a person asked for it. */
export function show(text: string): void {
  if (Deno.env.has("SHOW_STATUS")) Deno.stderr.writeSync(new TextEncoder().encode(text));
}

/** Waits until `bootstrapper status` on a machine is like this, and returns it. */
export async function statusLike(machine: RunMachine, shown: RegExp): Promise<string> {
  const what = `status of ${machine.node.name} like ${shown}`;
  return await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: 2_000 }, async ({ saw }) => {
    const text = await statusText(machine);
    saw(text);
    return shown.test(text) ? text : undefined;
  });
}

/** Waits until a process has said a line like this. */
export async function says(running: BootstrapperProcess, event: string, like: RegExp): Promise<void> {
  await waitUntil({ what: `${event} like ${like}`, deadlineMs: PATIENCE_MS, everyMs: 200 }, async ({ saw }) => {
    const lines = (await running.events()).filter((line) => line["event"] === event).map(({ message }) =>
      String(message)
    );
    saw(lines.at(-1) ?? "nothing");
    if (running.isOver && !lines.some((line) => like.test(line))) assert.fail(`it ended: ${await running.output()}`);
    return lines.some((line) => like.test(line));
  });
}

/** The events of a process with that name. */
export async function eventsOf(running: BootstrapperProcess, event: string) {
  return (await running.events()).filter((line) => line["event"] === event);
}

/** The cluster IDs of the machines' locks. */
export async function clustersOf(machines: readonly RunMachine[]): Promise<ReadonlySet<string | undefined>> {
  return new Set((await Promise.all(machines.map(lockOf))).map(({ clusterId }) => clusterId));
}

/**
 * Times of a founding for tests that restart founders: what only makes it calm is short. A founder that was killed before
 * its etcd first wrote has lost its vote, and never says that it is a member: the others leave without it.
 */
export const QUICK: RunChanges = {
  foundingTimes: { restMs: 500, leaseSeconds: 5, lingerMs: 1_000, leaveMs: 120_000 },
};
/** The exit code with which a shell and nsenter report SIGKILL. */
const KILLED = 137;

/** The process dies right after a transaction of the decision. */
export function atTransaction(name: string): RunChanges {
  return { ...QUICK, atEvent: { event: "founding-transaction", transaction: name, done: true } };
}

/** The process dies before or after a step. */
export function atStep(step: string, moment: "before" | "after"): RunChanges {
  return { ...QUICK, point: { step, moment, harm: { kind: "kill" } } };
}

function start(machine: RunMachine, { point, ...changes }: RunChanges): BootstrapperProcess {
  return machine.start(point, changes);
}

/** Starts a process that kills itself, and waits for that. */
export async function dies(machine: RunMachine, changes: RunChanges): Promise<void> {
  const running = start(machine, changes);
  assert.equal(await running.exitCode(), KILLED, await running.output());
}

/** Starts processes of which one kills itself, and then kills the others. */
export async function firstThatDies(
  machines: readonly RunMachine[],
  changes: RunChanges,
): Promise<{ readonly dead: RunMachine; readonly running: readonly BootstrapperProcess[] }> {
  const running = machines.map((machine) => start(machine, changes));
  const index = await Promise.race(running.map(async (one, index) => {
    assert.equal(await one.exitCode(), KILLED, await one.output());
    return index;
  }));
  // The others' waits end too, with the same exit code.
  await Promise.all(machines.filter((_, other) => other !== index).map((machine) => machine.kill()));
  return { dead: machines[index] ?? assert.fail(), running };
}
