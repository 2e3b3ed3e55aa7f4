import assert from "node:assert/strict";
import type { EtcdMember } from "../kubernetes/etcd_health.ts";
import { BootstrapError } from "../platform/errors.ts";
import { queuedNode, QueueWorld } from "./testing/queue.ts";

const SLOT_MS = 1_800_000;
const cp1 = queuedNode(1);
const cp2 = queuedNode(2);
const at = ({ address }: { readonly address: string }) => ({ peerUrls: [`https://${address}:2380`] });

/**
 * The refusal of a node that asks for the slot of a cluster whose etcd has these members in addition to the founder.
 */
async function refusalOf(world: QueueWorld, node = cp1, queue = world.queue()): Promise<BootstrapError> {
  const error = await queue.enter(node).then(() => undefined, (reason: unknown) => reason);
  return error instanceof BootstrapError ? error : assert.fail(`${node.nodeName} was not refused: ${error}`);
}

/** A service that has looked at the queue since the start. Only such a one knows that a turn is over. */
async function watching(
  world: QueueWorld,
  parts: Parameters<QueueWorld["queue"]>[0] = {},
): Promise<ReturnType<QueueWorld["queue"]>> {
  const queue = world.queue(parts);
  const nowMs = world.time.ms;
  world.time.ms = 0;
  await queue.releaseIfPromoted();
  world.time.ms = nowMs;
  return queue;
}

/** A world in which cp-1 got the slot and its time is over. `left` adds what it left in etcd. */
async function afterDeadJoin(left: (world: QueueWorld) => EtcdMember): Promise<[QueueWorld, EtcdMember]> {
  const world = new QueueWorld();
  await world.queue().enter(cp1);
  const member = left(world);
  world.time.ms = 2 * SLOT_MS;
  return [world, member];
}

const ownMembers: Readonly<Record<string, Partial<EtcdMember>>> = {
  "a learner that never started": { ...at(cp1), isLearner: true },
  "a learner that started": { ...at(cp1), name: cp1.nodeName, isLearner: true },
  "a learner of its name at an address that it had before": { name: cp1.nodeName, isLearner: true },
  "a voter that never started": at(cp1),
  "a voter that is well": { ...at(cp1), name: cp1.nodeName },
};
for (const [what, member] of Object.entries(ownMembers)) {
  Deno.test(`enter() lets a node join again when etcd has ${what}, of its own`, async () => {
    const world = new QueueWorld();
    world.admitted.set(cp1.nodeName, cp1.identity);
    world.etcd.add(member);
    await world.queue().enter(cp1);
    assert.deepEqual(world.removed, []);
  });
}

Deno.test("enter() lets a node join again when its own voter is dead, but no other node", async () => {
  const world = new QueueWorld();
  world.etcd.add({ name: "second" });
  world.admitted.set(cp1.nodeName, cp1.identity);
  world.etcd.silent.add(world.etcd.add({ ...at(cp1), name: cp1.nodeName }).id);
  const queue = world.queue();
  const refusal = await refusalOf(world, cp2, queue);
  assert.equal(refusal.code, "unavailable/etcd-quorum");
  assert.match(refusal.message, /2 of 3 voting members/);
  // cp-2 is first in the queue, and loses its place.
  world.time.ms = SLOT_MS;
  await queue.enter(cp1);
});

Deno.test("enter() lets a voter that is well join again while another voter is down, because etcd need not grow", async () => {
  const world = new QueueWorld();
  world.admitted.set(cp1.nodeName, cp1.identity);
  world.etcd.add({ ...at(cp1), name: cp1.nodeName });
  world.etcd.silent.add(world.etcd.add({ name: "third" }).id);
  await world.queue().enter(cp1);
});

const foreignMembers: Readonly<Record<string, [member: Partial<EtcdMember>, owner: string | undefined, text: RegExp]>> =
  {
    "of its name that belongs to another identity": [
      { name: cp1.nodeName },
      cp2.identity,
      /etcd has a member cp-1 of the identity 0+2; 0+1 cannot take its place/,
    ],
    "of its name without an admission record": [
      { ...at(cp1), name: cp1.nodeName },
      undefined,
      /without an admission record/,
    ],
    "of its name, a learner of another identity": [{ name: cp1.nodeName, isLearner: true }, cp2.identity, /0+2/],
    "of its name that is well at another address": [
      { name: cp1.nodeName },
      cp1.identity,
      /cp-1 is well at https:\/\/192\.0\.2\.2:2380, not at 198\.51\.100\.1/,
    ],
    "at its address under another name": [
      { ...at(cp1), name: "cp-9" },
      undefined,
      /198\.51\.100\.1 of cp-1 .* member cp-9/,
    ],
  };
for (const [what, [fields, owner, text]] of Object.entries(foreignMembers)) {
  Deno.test(`enter() refuses a node for good when etcd has a member ${what}`, async () => {
    const world = new QueueWorld();
    if (owner !== undefined) world.admitted.set(cp1.nodeName, owner);
    const member = world.etcd.add(fields);
    const refusal = await refusalOf(world);
    assert.equal(refusal.code, "conflict/etcd-member");
    assert.equal(refusal.retriable, false);
    assert.match(refusal.message, text);
    assert.ok(refusal.next.endsWith(`have an operator run \`bootstrapper node remove ${member.name}\``), refusal.next);
    assert.equal(refusal.details["id"], member.id);
    assert.equal(world.leases.objects.size, 0);
  });
}

Deno.test("enter() recognises an IPv6 address in a peer URL, however it is written", async () => {
  const world = new QueueWorld();
  world.etcd.add({ peerUrls: ["https://[2001:db8::1]:2380"], name: "cp-9" });
  const refusal = await refusalOf(world, { ...cp1, address: "2001:0DB8:0::1" });
  assert.equal(refusal.code, "conflict/etcd-member");
});

Deno.test("enter() gives no node the slot while etcd has a learner that is not from a join of this cluster", async () => {
  const world = new QueueWorld();
  const learner = world.etcd.add({ name: "by-hand", isLearner: true });
  const refusal = await refusalOf(world);
  assert.equal(refusal.code, "unavailable/etcd-learner");
  assert.ok(refusal.retriable);
  assert.deepEqual(refusal.details, { member: "by-hand", id: learner.id, retryAfterSeconds: "10" });
  assert.match(refusal.next, /`bootstrapper node remove by-hand`/);
  assert.equal((await refusalOf(world, cp2)).details["position"], "2");
  world.etcd.remove(learner.id);
  await world.queue().enter(cp1);
});

Deno.test("enter() names the member to remove when a learner has no name yet", async () => {
  const world = new QueueWorld();
  const { id } = world.etcd.add({ isLearner: true });
  const { details, next } = await refusalOf(world);
  assert.equal(details["member"], "https://192.0.2.2:2380");
  assert.ok(next.includes(`remove the member ${id} from etcd`), next);
});

Deno.test("enter() refuses when etcd cannot take a member, and takes the node when it can", async () => {
  const world = new QueueWorld();
  const { id } = world.etcd.add({ name: "second" });
  world.etcd.silent.add(id);
  assert.equal((await refusalOf(world)).code, "unavailable/etcd-quorum");
  world.etcd.silent.clear();
  await world.queue().enter(cp1);
});

const leftBehind: Readonly<Record<string, (world: QueueWorld) => EtcdMember>> = {
  "a learner that never started": ({ etcd }) => etcd.addLearner(cp1),
  "a learner that started": ({ etcd }) => etcd.add({ name: cp1.nodeName, isLearner: true }),
  "a voter that never started": ({ etcd }) => etcd.add(at(cp1)),
};
for (const [what, left] of Object.entries(leftBehind)) {
  Deno.test(`enter() removes ${what}, left by a join that died, before the next join begins`, async () => {
    const [world, member] = await afterDeadJoin(left);
    // A voter that never started counts against the quorum of the others, so two others are needed.
    world.etcd.add({ name: "second" });
    await (await watching(world)).enter(cp2);
    assert.deepEqual(world.removed, [member.id]);
  });
}

Deno.test("enter() leaves a holder's learner alone while its time is not over, and for nodes that are not next", async () => {
  const [world] = await afterDeadJoin(({ etcd }) => etcd.addLearner(cp1));
  world.time.ms = SLOT_MS - 1;
  const queue = await watching(world);
  for (const node of [cp2, queuedNode(3)]) await assert.rejects(queue.enter(node));
  await assert.rejects((await watching(world)).enter(queuedNode(3)));
  assert.deepEqual(world.removed, []);
});

Deno.test("enter() does not remove a voter that never started when that would cost etcd its quorum, and says so", async () => {
  const [world, member] = await afterDeadJoin(({ etcd }) => etcd.add(at(cp1)));
  world.etcd.silent.add(world.etcd.add({ name: "second" }).id);
  const refusal = await refusalOf(world, cp2, await watching(world));
  assert.equal(refusal.code, "unavailable/etcd-quorum");
  assert.match(refusal.message, /join of cp-1 ended and left a voting member that never started/);
  assert.match(refusal.next, /`bootstrapper node remove cp-1`/);
  assert.equal(refusal.details["id"], member.id);
  assert.deepEqual(world.removed, []);
});

Deno.test("enter() keeps the place of the first one when a leftover cannot be removed", async () => {
  const [world, member] = await afterDeadJoin(({ etcd }) => etcd.addLearner(cp1));
  const failing = await watching(world, {
    removeMember: () => Promise.reject(new BootstrapError("timeout/etcd", "no answer")),
  });
  await assert.rejects(failing.enter(cp2), { code: "timeout/etcd" });
  const refusing = await watching(world, {
    removeMember: () => Promise.reject(new BootstrapError("precondition/etcd", "no")),
  });
  await assert.rejects(refusing.enter(cp2), { code: "unavailable/etcd-quorum", retriable: true });
  await assert.rejects(failing.enter(queuedNode(3)), { code: "unavailable/control-plane-queue" });
  await (await watching(world)).enter(cp2);
  assert.deepEqual(world.removed, [member.id]);
});

Deno.test("enter() does not confuse the next holder's learner with the last one's when both have the same address", async () => {
  const [world, left] = await afterDeadJoin(({ etcd }) => etcd.addLearner(cp1));
  const heir = { ...cp2, address: cp1.address };
  // Another service is slow: it has looked at etcd, and the next join begins before it reads the Lease.
  let between = false;
  const fast = await watching(world);
  const slow = await watching(world, {
    etcd: async () => {
      const health = world.etcd.health();
      if (between) {
        between = false;
        await fast.enter(heir);
        world.etcd.addLearner(heir);
      }
      return health;
    },
  });
  between = true;
  await assert.rejects(slow.enter(queuedNode(3)), { code: "unavailable/control-plane-queue" });
  assert.deepEqual(world.removed, [left.id]);
  assert.equal(world.etcd.members.filter(({ isLearner }) => isLearner).length, 1);
});
