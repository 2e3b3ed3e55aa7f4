/** Each connection of `foundOnNode()` must show again which node it is, and whether that node is locked. */
import assert from "node:assert/strict";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { untilAborted } from "../platform/abortable.ts";
import { hex } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { InitWorld } from "../tests/exchanges/init_world.ts";
import { Bootstrap, stopped } from "../tests/exchanges/init_reconnects.ts";
import { ShownMachine } from "../tests/exchanges/init_machine.ts";
import type { InitOptions } from "./init_client.ts";

const TRUST_BYTE = 64;
const hang = (_journal: unknown, signal: AbortSignal) => untilAborted(signal);

/** A machine whose evidence is issued by `issue`. */
function issuing(
  machine: ShownMachine,
  issue: EvidenceIssuer["issue"],
): EvidenceIssuer & MeasurementRegisters {
  return {
    variant: machine.variant,
    isChallenged: machine.isChallenged,
    issue,
    read: (index) => machine.read(index),
    extend: (index, digest) => machine.extend(index, digest),
    ownIdentity: () => machine.ownIdentity(),
    activate: (challenge) => machine.activate(challenge),
  };
}

/** A lock that is taken by `take`, so that something can happen before the lock is confirmed, or after it was taken. */
function lockThat(lock: NodeLock, take: NodeLock["take"]): NodeLock {
  return { state: () => lock.state(), take };
}

/**
 * Runs an init that loses its node in the middle. Returns its error, and the number of signatures it made from then on.
 */
async function foundElsewhere(
  bootstrap: Bootstrap,
  moveOn: () => Promise<void>,
  changes: Partial<InitOptions> = {},
): Promise<{ readonly error: BootstrapError; readonly signed: number }> {
  const first = await bootstrap.boot({ onFound: hang });
  const { operator } = bootstrap;
  const begun = Promise.withResolvers<void>();
  const found = bootstrap.found({ ...changes, onProgress: ({ phase }) => phase === "kubeadm-init" && begun.resolve() });
  const ended = found.then(() => assert.fail("it was founded"), (error: unknown) => error);
  await begun.promise;
  const { signatures } = operator;
  first.stop(stopped);
  await assert.rejects(first.served, stopped);
  await moveOn();
  const error = await ended;
  assert(error instanceof BootstrapError, String(error));
  return { error, signed: operator.signatures - signatures };
}

for (const [code, expected] of [["precondition/cluster-exists", false], ["refused/identity", true]] as const) {
  Deno.test(`foundOnNode() refuses another machine at the node's address with ${code}, and signs only the hello`, async () => {
    await using bootstrap = await Bootstrap.create();
    const { operator, machine } = bootstrap;
    await using other = await InitWorld.start({ operator, machine: new ShownMachine() });
    const moveOn = () => Promise.resolve(bootstrap.wire.leadTo(other.port));
    const changes = expected ? { expectIdentity: hex(machine.identity) } : {};
    const { error, signed } = await foundElsewhere(bootstrap, moveOn, changes);
    assert.deepEqual([error.code, signed], [code, 1]);
    assert.deepEqual([other.lock.state().name, other.foundings], ["unlocked", 0]);
    assert.equal((await operator.record())?.state, "pending");
  });
}

Deno.test("foundOnNode() refuses bad evidence of the node on a later connection, and signs only the hello", async () => {
  await using bootstrap = await Bootstrap.create();
  const { machine } = bootstrap;
  const tampered = issuing(machine, async (statement) => {
    const { variant, payload } = await machine.issue(statement);
    return { variant, payload: payload.map((byte, index) => index === TRUST_BYTE ? byte ^ 1 : byte) };
  });
  let again: InitWorld | undefined;
  const { error, signed } = await foundElsewhere(bootstrap, async () => {
    bootstrap.reboot();
    again = await bootstrap.boot({ machine: tampered, onFound: hang });
  });
  assert.deepEqual([error.code, signed], ["refused/pcr-12", 1]);
  await again?.[Symbol.asyncDispose]();
});

Deno.test("foundOnNode() comes back to a node whose process is stopped while the node is verified again", async () => {
  await using bootstrap = await Bootstrap.create();
  const { machine, losses } = bootstrap;
  const first = await bootstrap.boot({ onFound: hang });
  const found = bootstrap.found({ onProgress: ({ phase }) => phase === "kubeadm-init" && first.stop(stopped) });
  await assert.rejects(first.served, stopped);
  bootstrap.reboot();
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const slow = issuing(machine, async (statement) => {
    asked.resolve();
    await goOn.promise;
    return await machine.issue(statement);
  });
  const second = await bootstrap.boot({ machine: slow, onFound: hang });
  await asked.promise;
  const before = losses.length;
  second.stop(stopped);
  goOn.resolve();
  await assert.rejects(second.served, stopped);
  bootstrap.reboot();
  await using third = await bootstrap.boot();
  await found;
  await third.served;
  assert.equal(losses[before]?.error.code, "unavailable/stopped");
  bootstrap.assertEvents();
});

Deno.test("foundOnNode() goes on with a locked node when the connection was cut before the node reported its lock", async () => {
  await using bootstrap = await Bootstrap.create();
  await using world = await bootstrap.boot({
    withLock: (lock) =>
      lockThat(lock, async (claim) => {
        const isTaken = await lock.take(claim);
        bootstrap.wire.cut();
        return isTaken;
      }),
  });
  await bootstrap.found();
  await world.served;
  assert.match(bootstrap.losses[0]?.lastSeen ?? "", /^the step (?:preflight done|lock started)$/);
  assert.deepEqual([bootstrap.verified[0], bootstrap.verified.at(-1)], [false, true]);
  bootstrap.assertEvents();
  assert.equal(world.foundings, 1);
});

Deno.test("foundOnNode() begins anew at a node that was lost when it took its lock, and that proves to be fresh", async () => {
  await using bootstrap = await Bootstrap.create();
  const { operator } = bootstrap;
  let tries = 0;
  await using world = await bootstrap.boot({
    withLock: (lock) =>
      lockThat(lock, async (claim) => {
        if (++tries === 1) {
          bootstrap.wire.cut();
          while (claim.confirm?.() !== false) await systemClock.sleep(1);
        }
        return await lock.take(claim);
      }),
  });
  const cluster = await bootstrap.found();
  await world.served;
  assert.equal(tries, 2);
  assert.match(bootstrap.losses[0]?.lastSeen ?? "", /^the step (?:preflight done|lock started)$/);
  assert.ok(bootstrap.verified.every((again) => !again), "it went on with an operation that never locked");
  const record = await operator.record();
  assert(record?.state === "founded");
  assert.equal(cluster.clusterId, `sha256:${record.clusterId}`);
  assert.deepEqual([world.foundings, operator.kept], [1, [cluster]]);
});
