/** How `foundOnNode()` keeps to an operation that has begun. */
import assert from "node:assert/strict";
import { untilAborted } from "../platform/abortable.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { systemClock } from "../platform/clock.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError, exitCodeOf } from "../platform/errors.ts";
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import { ShownMachine, shownVerifier } from "../tests/exchanges/init_machine.ts";
import { CLUSTER_NAME, InitWorld, TestOperator } from "../tests/exchanges/init_world.ts";
import { Bootstrap, fastClock, stopped } from "../tests/exchanges/init_reconnects.ts";
import type { ClusterRecord } from "./cluster_records.ts";
import { abandonCluster } from "./cluster_records.ts";
import type { InitOptions, NewCluster } from "./init_client.ts";

/** A clock whose sleeps end at once. */
const patientClock = () => ({ ...sleepingClock().clock, now: () => new Date() });

/** The record of the cluster's name while an init holds it. */
function recordOf({ recordsFolder }: TestOperator): ClusterRecord | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`${recordsFolder}/${CLUSTER_NAME}.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test("foundOnNode() finishes the same operation when the node's process is stopped and started again", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  const first = await bootstrap.boot({
    onFound: (journal, signal) => (journal.detail("kubeadm-init", "certs: Generating"), untilAborted(signal)),
  });
  const seen = Promise.withResolvers<void>();
  const found = bootstrap.found({ onProgress: ({ state }) => state === "detail" && seen.resolve() });
  await seen.promise;
  first.stop(stopped);
  await assert.rejects(first.served, stopped);
  bootstrap.reboot();
  await using second = await bootstrap.boot();
  const cluster = await found;
  await second.served;
  assert.equal(bootstrap.losses[0]?.error.code, "unavailable/stopped");
  assert.equal(bootstrap.losses[0]?.lastSeen, "the step kubeadm-init failed: The bootstrapper was stopped");
  assert.deepEqual([bootstrap.verified[0], bootstrap.verified.at(-1)], [false, true]);
  bootstrap.assertEvents();
  const state = second.lock.state();
  const record = await operator.record();
  assert(state.name === "locked" && record?.state === "founded");
  assert.equal(cluster.clusterId, `sha256:${record.clusterId}`);
  assert.deepEqual([first.foundings, second.foundings, operator.kept.length], [1, 1, 1]);
});

Deno.test("foundOnNode() finishes with a locked node that can listen only later", async () => {
  await using bootstrap = await Bootstrap.create();
  const first = await bootstrap.boot({ onFound: (_journal, signal) => untilAborted(signal) });
  const found = bootstrap.found({ onProgress: ({ phase }) => phase === "kubeadm-init" && first.stop(stopped) });
  await assert.rejects(first.served, stopped);
  bootstrap.reboot();
  await using second = await bootstrap.boot({ clock: fastClock, listenFailures: 2 });
  await found;
  await second.served;
  assert.equal(second.foundings, 1);
});

Deno.test("foundOnNode() reconnects at once when the connection is cut, and hears what it has missed", async () => {
  await using bootstrap = await Bootstrap.create();
  const goOn = Promise.withResolvers<void>();
  await using world = await bootstrap.boot({ onFound: () => goOn.promise });
  const found = bootstrap.found({
    onProgress({ phase }) {
      if (phase !== "kubeadm-init" || bootstrap.losses.length > 0) return;
      bootstrap.wire.cut();
      goOn.resolve();
    },
  });
  await found;
  await world.served;
  assert.ok(bootstrap.losses.length > 0 && bootstrap.losses.every(({ error }) => error.retriable));
  assert.ok((bootstrap.losses[0]?.pauseMs ?? 0) <= 300);
  bootstrap.assertEvents();
  assert.equal(world.foundings, 1);
});

Deno.test("foundOnNode() shows the tries of a step that fails twice and then works", async () => {
  await using bootstrap = await Bootstrap.create();
  const slowEtcd = "POST /api/v1/x was refused with 500: etcdserver: request timed out";
  let tries = 0;
  await using world = await bootstrap.boot({
    clock: fastClock,
    onFound: () =>
      ++tries <= 2 ? Promise.reject(new BootstrapError("unavailable/kubernetes-api", slowEtcd)) : Promise.resolve(),
  });
  await bootstrap.found();
  await world.served;
  const ofStep = bootstrap.events.filter(({ phase }) => phase === "kubeadm-init");
  assert.deepEqual(ofStep.map(({ state }) => state), ["started", "waiting", "waiting", "done"]);
  for (const [index, { detail }] of ofStep.slice(1, 3).entries()) {
    assert.ok(detail.startsWith(`try ${index + 1} failed: ${slowEtcd}; next try in 0.`), detail);
  }
  assert.deepEqual(bootstrap.losses, []);
});

Deno.test("foundOnNode() gives up on a node that is gone, and names what it waited for, what it last saw, and the cause", async () => {
  await using bootstrap = await Bootstrap.create();
  const world = await bootstrap.boot({ onFound: (_journal, signal) => untilAborted(signal) });
  const found = bootstrap.found({
    clock: patientClock(),
    patienceMs: 60_000,
    onProgress: ({ phase }) => phase === "kubeadm-init" && world.stop(stopped),
  });
  const error = await found.then(() => assert.fail("it was founded"), (error: unknown) => error);
  await assert.rejects(world.served, stopped);
  assert(error instanceof BootstrapError && error.cause instanceof BootstrapError);
  assert.deepEqual([error.code, exitCodeOf(error)], ["timeout/init", 4]);
  assert.deepEqual(Object.keys(error.details), ["operation", "waitedFor", "lastSeen"]);
  assert.equal(error.details["waitedFor"], `the node at ${bootstrap.wire.endpoint} to go on with the operation`);
  assert.match(error.details["lastSeen"] ?? "", /^the step kubeadm-init (?:started|failed)/);
  assert.ok(error.message.includes("60 s") && error.next.includes("Run init again"));
  assert.match(error.cause.code, /^unavailable\//);
  const pauses = bootstrap.losses.map(({ pauseMs }) => pauseMs);
  assert.ok(pauses.length > 5 && (pauses.at(-1) ?? 0) >= 8_000, pauses.join());
  assert.equal((await bootstrap.operator.record())?.state, "pending");
});

Deno.test("foundOnNode() gives up on a step that never works, and names it", async () => {
  await using bootstrap = await Bootstrap.create();
  await using world = await bootstrap.boot({
    clock: fastClock,
    onFound: () => Promise.reject(new BootstrapError("unavailable/kubernetes-api", "no etcd")),
  });
  const waits = () => bootstrap.events.filter(({ state }) => state === "waiting").length;
  const clock = { ...fastClock, monotonicMs: () => waits() * MINUTE_MS };
  await assert.rejects(bootstrap.found({ clock, patienceMs: 3 * MINUTE_MS }), (error: unknown) => {
    assert(error instanceof BootstrapError && error.code === "timeout/init" && exitCodeOf(error) === 4);
    assert.match(error.details["waitedFor"] ?? "", /^the step kubeadm-init of the node at /);
    assert.match(
      error.details["lastSeen"] ?? "",
      /^the step kubeadm-init waiting: try \d+ failed: no etcd; next try in /,
    );
    return error.cause instanceof BootstrapError && error.cause.code === "timeout/init-step";
  });
  assert.equal(waits(), 4, "the first try, and three minutes");
  assert.equal(world.lock.state().name, "locked");
});

Deno.test("foundOnNode() waits no longer than its patience while a step is silent before another try", async () => {
  await using bootstrap = await Bootstrap.create();
  let sleeps = 0;
  await using world = await bootstrap.boot({
    clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(sleeps++ === 0 ? ms : 3_600_000, signal) },
    onFound: () =>
      Promise.reject(new BootstrapError("unavailable/kubernetes-api", "no etcd", { next: "Look at etcd" })),
  });
  let waits = 0;
  let waitsSinceMs: number | undefined;
  const changes: Partial<InitOptions> = {
    // Time stands still until the step waits again, just before the patience ends.
    clock: {
      ...fastClock,
      monotonicMs: () => waitsSinceMs === undefined ? 0 : MINUTE_MS - 100 + performance.now() - waitsSinceMs,
    },
    patienceMs: MINUTE_MS,
    onProgress: ({ state }) => state === "waiting" && ++waits === 2 && (waitsSinceMs = performance.now()),
    signal: AbortSignal.timeout(20_000),
  };
  await assert.rejects(bootstrap.found(changes), (error: unknown) => {
    assert(error instanceof BootstrapError && error.code === "timeout/init");
    assert.match(error.details["waitedFor"] ?? "", /^the step kubeadm-init of the node at /);
    assert.match(error.message, /Look at etcd$/);
    return error.cause instanceof BootstrapError && error.cause.code === "timeout/peer";
  });
  assert.equal(world.lock.state().name, "locked");
});

Deno.test("foundOnNode() gives up within its patience on a node that crashes at the same place again and again", async () => {
  await using bootstrap = await Bootstrap.create();
  const onFound = (_journal: unknown, signal: AbortSignal) => untilAborted(signal);
  const begun = () =>
    bootstrap.events.filter(({ phase, state }) => phase === "kubeadm-init" && state === "started").length;
  let world = await bootstrap.boot({ onFound });
  let restarting = Promise.resolve();
  let lives = 1;
  const restart = async () => {
    world.stop(stopped);
    await world.served.catch(() => {});
    bootstrap.reboot();
    world = await bootstrap.boot({ onFound });
  };
  const found = bootstrap.found({
    // Each life of the node takes a minute of the operator's time.
    clock: { ...fastClock, monotonicMs: () => lives * MINUTE_MS },
    patienceMs: 4 * MINUTE_MS,
    onProgress({ phase, state }) {
      if (phase !== "kubeadm-init" || state !== "started") return;
      lives = begun() + 1;
      restarting = restarting.then(restart);
    },
  });
  await assert.rejects(found, { code: "timeout/init" });
  await restarting;
  assert.equal(begun(), 5, "the first life, and four minutes");
  assert.equal(world.lock.state().name, "locked");
  await world[Symbol.asyncDispose]();
});

Deno.test("foundOnNode() begins anew at a node that was lost before its lock, and founds one cluster", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  let checks = 0;
  await using world = await bootstrap.boot({
    preflight: () => ++checks === 1 ? new Promise(() => {}) : Promise.resolve(),
  });
  const began: (string | undefined)[] = [];
  const cluster = await bootstrap.found({
    onProgress({ phase, state }) {
      if (phase !== "preflight" || state !== "started") return;
      began.push(recordOf(operator)?.operationId);
      if (checks === 1) bootstrap.wire.cut();
    },
  });
  await world.served;
  assert.ok(bootstrap.losses.length > 0 && bootstrap.verified.every((again) => !again));
  assert.equal(new Set(began).size, 2, "it was not another operation");
  const record = await operator.record();
  assert(record?.state === "founded");
  assert.equal(cluster.clusterId, `sha256:${record.clusterId}`);
  assert.deepEqual([world.foundings, operator.kept.length], [1, 1]);
});

Deno.test("foundOnNode() waits for a node that cannot begin yet, and keeps an earlier record until it does", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  const notYet = new BootstrapError("unavailable/address", "The node has no address yet");
  let checks = 0;
  await using world = await bootstrap.boot({
    preflight: () => ++checks <= 2 ? Promise.reject(notYet) : Promise.resolve(),
  });
  const recorded: unknown[] = [];
  const cluster = await bootstrap.found({
    onLost: (lost) => {
      bootstrap.losses.push(lost);
      recorded.push(recordOf(operator));
    },
  });
  await world.served;
  assert.deepEqual(bootstrap.losses.map(({ error }) => error.code), [notYet.code, notYet.code]);
  assert.deepEqual(recorded, [undefined, undefined]);
  assert.deepEqual(operator.kept, [cluster]);
});

Deno.test("foundOnNode() gives up on a node that cannot begin, and says that it has not begun", async () => {
  await using bootstrap = await Bootstrap.create();
  const notYet = new BootstrapError("unavailable/address", "The node has no address yet");
  // Each check takes a minute of the operator's time.
  let checks = 0;
  await using world = await bootstrap.boot({ preflight: () => (checks++, Promise.reject(notYet)) });
  const clock = { ...fastClock, monotonicMs: () => checks * MINUTE_MS };
  const found = bootstrap.found({ clock, patienceMs: 3 * MINUTE_MS });
  await assert.rejects(found, (error: unknown) => {
    assert(error instanceof BootstrapError && error.code === "timeout/init");
    assert.match(error.details["waitedFor"] ?? "", /to begin the operation$/);
    assert.match(error.next, /^Run init again: the node has not begun/);
    return error.cause instanceof BootstrapError && error.cause.code === notYet.code;
  });
  assert.equal(checks, 4, "the first check, and three minutes");
  assert.equal(world.lock.state().name, "unlocked");
  assert.equal(await bootstrap.operator.record(), undefined);
});

/** Believes a machine whose evidence has no register for the lock. */
const noLockVerifier: EvidenceVerifier = {
  ...shownVerifier,
  async verify(...args) {
    const verdict = await shownVerifier.verify(...args);
    return { ...verdict, claims: { ...verdict.claims, showsNoLock: true } };
  },
};

Deno.test("foundOnNode() ends with the loss of a node that cannot show that it never locked", async () => {
  await using bootstrap = await Bootstrap.create();
  await using world = await bootstrap.boot({ preflight: () => new Promise(() => {}) });
  const found = bootstrap.found({
    verifier: noLockVerifier,
    onProgress: ({ phase }) => phase === "preflight" && bootstrap.wire.cut(),
  });
  await assert.rejects(found, (error: unknown) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, bootstrap.losses[0]?.error.code);
    assert.match(error.next, /may have been founded .*bootstrapper abandon/);
    return true;
  });
  assert.equal(world.lock.state().name, "unlocked");
  assert.equal((await bootstrap.operator.record())?.state, "pending");
});

Deno.test("foundOnNode() ends at once when something fails on the operator's machine", async () => {
  await using bootstrap = await Bootstrap.create();
  await using _world = await bootstrap.boot();
  const failed = new BootstrapError("unavailable/collateral", "The server of collateral does not answer");
  const verifier: EvidenceVerifier = { ...shownVerifier, verify: () => Promise.reject(failed) };
  await assert.rejects(bootstrap.found({ verifier }), { code: failed.code });
  assert.deepEqual([bootstrap.losses, bootstrap.operator.signatures], [[], 1]);
});

Deno.test("foundOnNode() leaves an abandoned name abandoned when the founding comes to nothing, over two inits too", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  let checks = 0;
  const unfit = new BootstrapError("precondition/preflight", "The machine is not fit");
  const preflight = () =>
    ++checks === 1 ? Promise.resolve() : checks === 2 ? new Promise<void>(() => {}) : Promise.reject(unfit);
  const world = await bootstrap.boot({ preflight, onFound: () => Promise.reject(unfit) });
  await assert.rejects(bootstrap.found(), { code: unfit.code });
  await assert.rejects(world.served, { code: unfit.code });
  await abandonCluster(operator.recordsFolder, CLUSTER_NAME);

  await using other = await InitWorld.start({ operator, machine: new ShownMachine(), preflight });
  bootstrap.wire.leadTo(other.port);
  const caller = new AbortController();
  const stopping = bootstrap.found({
    signal: caller.signal,
    onProgress: ({ phase }) => phase === "preflight" && caller.abort(),
  });
  await assert.rejects(stopping, { code: "aborted/init" });
  const pending = await operator.record();
  assert.deepEqual([pending?.state, pending?.wasAbandoned], ["pending", true]);
  await assert.rejects(bootstrap.found(), { code: unfit.code });
  const record = await operator.record();
  assert.deepEqual([record?.state, record?.adminKeyPem], ["abandoned", ""]);
});

Deno.test("foundOnNode() tries an address where nothing answers once", async () => {
  await using operator = await TestOperator.create();
  const losses: unknown[] = [];
  const found = operator.found("127.0.0.1:1", { onLost: (lost) => losses.push(lost) });
  await assert.rejects(found, { code: "unavailable/init-server" });
  assert.deepEqual(losses, []);
});

Deno.test("foundOnNode() says that a name is unknown", async () => {
  await using operator = await TestOperator.create();
  const found = operator.found("node-1.invalid:9443");
  await assert.rejects(found, {
    code: "unavailable/name-resolution",
    message: "The name node-1.invalid cannot be resolved on this machine",
  });
  assert.equal(await operator.record(), undefined);
});

Deno.test("foundOnNode() signs nothing but hellos until the clocks agree, and founds then", async () => {
  await using bootstrap = await Bootstrap.create();
  let aheadMs = 10 * MINUTE_MS;
  const clock = { ...fastClock, now: () => new Date(Date.now() + aheadMs) };
  await using world = await bootstrap.boot({ clock });
  const signatures: number[] = [];
  await bootstrap.found({
    onLost({ error }) {
      assert.equal(error.code, "precondition/clock-skew");
      assert.equal(recordOf(bootstrap.operator), undefined);
      signatures.push(bootstrap.operator.signatures);
      if (signatures.length === 3) aheadMs = 0;
    },
  });
  await world.served;
  assert.deepEqual(signatures, [1, 2, 3], "one hello a call");
  assert.equal(world.foundings, 1);
});

Deno.test("foundOnNode() shows both clocks, and ends, when they never agree", async () => {
  await using bootstrap = await Bootstrap.create();
  const clock = { ...fastClock, now: () => new Date(Date.now() - 10 * MINUTE_MS) };
  await using _world = await bootstrap.boot({ clock });
  const error = await bootstrap.found({ clock: patientClock(), patienceMs: 60_000 }).catch((error: unknown) => error);
  assert(error instanceof BootstrapError && error.cause instanceof BootstrapError);
  assert.deepEqual([error.code, error.cause.code, exitCodeOf(error)], ["timeout/init", "precondition/clock-skew", 4]);
  assert.deepEqual(Object.keys(error.cause.details), ["check", "expected", "seen"]);
  assert.equal(await bootstrap.operator.record(), undefined);
});

Deno.test("foundOnNode() ends at once with an error of the node that time cannot fix", async () => {
  await using bootstrap = await Bootstrap.create();
  const failure = new BootstrapError("system/kubeadm", "kubeadm init failed");
  const world = await bootstrap.boot({ onFound: () => Promise.reject(failure) });
  await assert.rejects(bootstrap.found(), { code: "system/kubeadm" });
  await assert.rejects(world.served, { code: "system/kubeadm" });
  assert.deepEqual(bootstrap.losses, []);
});

Deno.test("foundOnNode() signs nothing for a node that was locked and is fresh again", async () => {
  await using bootstrap = await Bootstrap.create();
  const world = await bootstrap.boot({ onFound: (_journal, signal) => untilAborted(signal) });
  const found = bootstrap.found({ onProgress: ({ phase }) => phase === "kubeadm-init" && world.stop(stopped) });
  found.catch(() => {});
  await assert.rejects(world.served, stopped);
  const { operator } = bootstrap;
  const { signatures } = operator;
  bootstrap.reboot();
  for await (const { name } of Deno.readDir(bootstrap.folder)) {
    await Deno.remove(`${bootstrap.folder}/${name}`, { recursive: true });
  }
  await using again = await bootstrap.boot();
  await assert.rejects(found, { code: "precondition/operation-lost" });
  assert.deepEqual([again.foundings, again.lock.state().name], [0, "unlocked"]);
  assert.equal(operator.signatures, signatures + 1, "more was signed than the hello");
});

Deno.test("foundOnNode() ends at once when it is stopped while it waits for the node, and says that the node goes on", async () => {
  await using bootstrap = await Bootstrap.create();
  const world = await bootstrap.boot({ onFound: (_journal, signal) => untilAborted(signal) });
  const caller = new AbortController();
  const found = bootstrap.found({
    clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(3_600_000, signal) },
    signal: caller.signal,
    onProgress: ({ phase }) => phase === "kubeadm-init" && world.stop(stopped),
    onLost: () => queueMicrotask(() => caller.abort()),
  });
  await assert.rejects(found, { code: "aborted/init", message: "The init was stopped; the node goes on" });
  await assert.rejects(world.served, stopped);
});

Deno.test("foundOnNode() tells the node again that everything is kept when the connection was cut before", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  await using world = await bootstrap.boot();
  const keep = (cluster: NewCluster) => {
    operator.kept.push(cluster);
    bootstrap.wire.cut();
    return Promise.resolve();
  };
  const cluster = await bootstrap.found({ keep });
  await world.served;
  assert.deepEqual(operator.kept, [cluster]);
  assert.equal((await operator.record())?.state, "founded");
});

Deno.test("foundOnNode() succeeds when everything is kept, although the node can no longer be told", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  await using world = await bootstrap.boot();
  const keep = (cluster: NewCluster) => {
    operator.kept.push(cluster);
    bootstrap.wire[Symbol.dispose]();
    return Promise.resolve();
  };
  const cluster = await bootstrap.found({ keep });
  assert.deepEqual(operator.kept, [cluster]);
  assert.equal((await operator.record())?.state, "founded");
  assert.equal(world.foundings, 1);
});
