import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import type { ControlPlaneQueue, QueuedNode } from "./control_plane_queue.ts";
import { queuedNode, QueueWorld } from "./testing/queue.ts";

const SLOT_MS = 1_800_000;
const HINT_MS = 10_000;
/** Longer than the place of a node that does not ask is kept. */
const LOST_MS = 61_000;

const LEASE = "/apis/coordination.k8s.io/v1/namespaces/bootstrapper-system/leases/control-plane-join";

const cp = Array.from({ length: 40 }, (_, number) => queuedNode(number + 1));
const [cp1 = assert.fail(), cp2 = assert.fail(), cp3 = assert.fail(), cp4 = assert.fail()] = cp;

/** The code that a node gets, or its position; "slot" if it has the slot. */
async function hear(queue: ControlPlaneQueue, node: QueuedNode): Promise<string> {
  try {
    await queue.enter(node);
    return "slot";
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    const { code, details: { position, waiting } } = error;
    return code === "unavailable/control-plane-queue" ? `${position}/${waiting}` : code;
  }
}

async function refusalOf(queue: ControlPlaneQueue, node: QueuedNode): Promise<BootstrapError> {
  const error = await queue.enter(node).then(() => undefined, (reason: unknown) => reason);
  return error instanceof BootstrapError ? error : assert.fail(`${node.nodeName} was not refused: ${error}`);
}

Deno.test("enter() gives one node the slot, and each other node a place, in the order in which they asked", async () => {
  const world = new QueueWorld();
  const [one, two] = [world.queue(), world.queue()];
  assert.equal(await hear(one, cp1), "slot");
  assert.equal(await hear(two, cp2), "1/1");
  assert.equal(await hear(one, cp3), "2/2");
  assert.equal(await hear(one, cp2), "1/2");
  assert.equal(await hear(two, cp3), "2/2");
  await one.release(cp1.identity);
  assert.equal(await hear(one, cp3), "2/2");
  assert.equal(await hear(two, cp4), "3/3");
  assert.equal(await hear(one, cp2), "slot");
  assert.equal(await hear(one, cp4), "2/2");
  assert.equal(await hear(one, cp3), "1/2");
});

Deno.test("enter() says which node is joining and until when, the asking node's place, and when to ask again", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  await refusalOf(queue, cp2);
  const held = await refusalOf(queue, cp3);
  assert.equal(
    held.message,
    "The control plane cp-1 is joining, until 2026-01-01T00:30:00.000Z at the latest; cp-3 is number 2 of 2 that wait",
  );
  assert.deepEqual(held.details, { position: "2", waiting: "2", holder: "cp-1", retryAfterSeconds: "10" });
  assert.ok(held.retriable);
  await queue.release(cp1.identity);
  const free = await refusalOf(queue, cp3);
  assert.equal(free.message, "cp-2 is the next control plane to join; cp-3 is number 2 of 2 that wait");
  assert.deepEqual(free.details, { position: "2", waiting: "2", retryAfterSeconds: "10" });
});

Deno.test("enter() keeps the queue in a Lease of 30 minutes that names the holder", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  await refusalOf(queue, cp2);
  const { spec } = world.leases.objects.get(LEASE) as unknown as { readonly spec: unknown };
  assert.deepEqual(spec, {
    holderIdentity: cp1.identity,
    acquireTime: "2026-01-01T00:00:00.000000Z",
    renewTime: "2026-01-01T00:00:00.000000Z",
    leaseDurationSeconds: 1800,
    leaseTransitions: 1,
  });
});

Deno.test("enter() refuses a node when 32 nodes wait, and those keep their places", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  for (const node of cp.slice(0, 33)) await hear(queue, node);
  const late = cp[33] ?? assert.fail();
  const refusal = await refusalOf(queue, late);
  assert.equal(refusal.code, "unavailable/queue-full");
  assert.deepEqual(refusal.details, { waiting: "32", retryAfterSeconds: "10" });
  assert.equal(await hear(queue, cp[32] ?? assert.fail()), "32/32");
  assert.equal(await hear(queue, cp1), "slot");
  await queue.release(cp1.identity);
  assert.equal(await hear(queue, late), "unavailable/queue-full");
  assert.equal(await hear(queue, cp2), "slot");
  assert.equal(await hear(queue, late), "32/32");
});

Deno.test("enter() forgets a waiting node that does not ask again, and puts it at the end when it does", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  assert.equal(await hear(queue, cp2), "1/1");
  assert.equal(await hear(queue, cp3), "2/2");
  for (let askedMs = 0; askedMs < LOST_MS; askedMs += HINT_MS) {
    world.time.ms += HINT_MS;
    await hear(queue, cp3);
  }
  assert.equal(await hear(queue, cp3), "1/1");
  assert.equal(await hear(queue, cp2), "2/2");
});

Deno.test("enter() keeps the places of nodes that ask services whose clocks are minutes apart", async () => {
  const world = new QueueWorld();
  const queues = [world.queue({ aheadMs: -150_000 }), world.queue({ aheadMs: 150_000 })];
  const [one = assert.fail(), two = assert.fail()] = queues;
  await one.enter(cp1);
  for (let asked = 0; asked < 20; asked++) {
    assert.equal(await hear(asked % 2 === 0 ? one : two, cp2), asked === 0 ? "1/1" : "1/2");
    assert.equal(await hear(asked % 2 === 0 ? two : one, cp3), "2/2");
    world.time.ms += HINT_MS;
  }
});

Deno.test("enter() lets the holder through at any service, and restarts its time only while no node waits", async () => {
  const world = new QueueWorld();
  const [one, two] = [world.queue(), world.queue()];
  await one.enter(cp1);
  world.time.ms = SLOT_MS - 1;
  await two.enter(cp1);
  assert.equal(await hear(one, cp2), "1/1");
  // No node waited when it asked, so it has 30 minutes more.
  for (; world.time.ms < 2 * SLOT_MS - 1 - HINT_MS; world.time.ms += HINT_MS) {
    assert.equal(await hear(one, cp2), "1/1");
    await world.queue().enter(cp1);
  }
  world.time.ms = 2 * SLOT_MS - 1;
  assert.equal(await hear(one, cp1), "2/2");
  assert.equal(await hear(one, cp2), "slot");
});

Deno.test("enter() gives the slot to the next node when the holder's time is over, and never before", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  for (; world.time.ms < SLOT_MS; world.time.ms += HINT_MS) assert.equal(await hear(queue, cp2), "1/1");
  assert.equal(await hear(queue, cp2), "slot");
  assert.equal(await hear(queue, cp1), "1/1");
});

Deno.test("enter() gives the slot to its last holder anew when the time is over and no node waits", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  world.time.ms = SLOT_MS;
  world.etcd.addLearner(cp1);
  await queue.enter(cp1);
  assert.deepEqual(world.removed, []);
  assert.equal(await hear(queue, cp2), "1/1");
});

Deno.test("enter() removes the learner that a holder left at another address, and keeps its turn and time", async () => {
  const moved = { ...cp1, address: "198.51.100.99" };
  for (const isOver of [false, true]) {
    for (const waits of isOver ? [false] : [false, true]) {
      const world = new QueueWorld();
      const queue = world.queue();
      await queue.enter(cp1);
      if (waits) await refusalOf(queue, cp2);
      const { id } = world.etcd.addLearner(cp1);
      world.time.ms += isOver ? SLOT_MS : 1000;
      if (waits) await refusalOf(queue, cp2);
      assert.equal(await hear(queue, moved), "slot");
      assert.deepEqual(world.removed, [id]);
      const { spec } = world.leases.objects.get(LEASE) as unknown as { readonly spec: { acquireTime: string } };
      assert.equal(spec.acquireTime.includes("T00:00:00"), waits);
      // The holder looks after its own learner itself.
      world.etcd.addLearner(moved);
      assert.equal(await hear(queue, moved), "slot");
      assert.deepEqual(world.removed, [id]);
    }
  }
});

Deno.test("enter() counts a turn from the start of its own service when that was restarted", async () => {
  const world = new QueueWorld();
  await world.queue().enter(cp1);
  world.time.ms = 10 * SLOT_MS;
  const restarted = world.queue();
  assert.equal(await hear(restarted, cp2), "1/1");
  world.time.ms += SLOT_MS - 1;
  assert.equal(await hear(restarted, cp2), "1/1");
  world.time.ms++;
  assert.equal(await hear(restarted, cp2), "slot");
});

Deno.test("enter() takes no turn and removes no learner because the clocks of two services are far apart", async () => {
  for (const aheadMs of [21 * 60_000, 24 * 3_600_000, -24 * 3_600_000]) {
    const world = new QueueWorld();
    const [giver, other] = [world.queue(), world.queue({ aheadMs })];
    await giver.enter(cp1);
    world.etcd.addLearner(cp1);
    assert.equal(await hear(other, cp2), "1/1");
    world.time.ms += SLOT_MS - 1;
    assert.equal(await hear(other, cp2), "1/1");
    assert.equal(await hear(giver, cp1), "slot");
    assert.deepEqual(world.removed, []);
  }
});

Deno.test("enter() begins the next join when the holder votes in etcd, without a release", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  const learner = world.etcd.addLearner(cp1);
  assert.equal(await hear(queue, cp2), "1/1");
  assert.equal(await queue.releaseIfPromoted(), false);
  world.etcd.promote(cp1);
  world.etcd.silent.add(learner.id);
  assert.equal(await queue.releaseIfPromoted(), false);
  world.etcd.silent.clear();
  assert.equal(await hear(queue, cp2), "slot");
});

Deno.test("releaseIfPromoted() frees the slot when the holder votes in etcd and no learner is left", async () => {
  const world = new QueueWorld();
  const [one, two] = [world.queue(), world.queue()];
  assert.equal(await one.releaseIfPromoted(), false);
  await one.enter(cp1);
  world.etcd.addLearner(cp1);
  world.etcd.promote(cp1);
  const other = world.etcd.addLearner(cp2);
  assert.equal(await two.releaseIfPromoted(), false);
  world.etcd.remove(other.id);
  assert.deepEqual(
    (await Promise.all([one.releaseIfPromoted(), two.releaseIfPromoted()])).toSorted(),
    [false, true],
  );
  assert.equal(await two.releaseIfPromoted(), false);
  assert.equal(await hear(two, cp2), "slot");
});

Deno.test("releaseIfPromoted() waits until a machine that was built anew has its own vote", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  world.admitted.set(cp1.nodeName, cp1.identity);
  const dead = world.etcd.add({ name: cp1.nodeName });
  world.etcd.silent.add(dead.id);
  await queue.enter(cp1);
  assert.equal(await queue.releaseIfPromoted(), false);
  world.etcd.remove(dead.id);
  world.etcd.addLearner(cp1);
  world.etcd.promote(cp1);
  assert.equal(await queue.releaseIfPromoted(), true);
});

Deno.test("enter() does not end a turn because of a vote from before it", async () => {
  const world = new QueueWorld();
  world.admitted.set(cp1.nodeName, cp1.identity);
  const member = world.etcd.add({ name: cp1.nodeName, peerUrls: [`https://${cp1.address}:2380`] });
  // A slow service looks at etcd. Then cp-1 loses its member, and begins to join again.
  const etcd = async () => {
    const health = world.etcd.health();
    world.etcd.remove(member.id);
    await world.queue().enter(cp1);
    return health;
  };
  assert.equal(await hear(world.queue({ etcd }), cp2), "1/1");
});

Deno.test("release() frees the slot only when its holder has it", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  assert.equal(await queue.release(cp1.identity), false);
  await queue.enter(cp1);
  assert.equal(await hear(queue, cp2), "1/1");
  assert.equal(await queue.release(cp2.identity), false);
  assert.equal(await hear(queue, cp2), "1/1");
  assert.equal(await queue.release(cp1.identity), true);
  assert.equal(await queue.release(cp1.identity), false);
});

Deno.test("enter() keeps the place of the first node while etcd cannot be asked or has no leader", async () => {
  const world = new QueueWorld();
  let problem: BootstrapError | undefined = new BootstrapError("timeout/etcd", "etcd did not answer");
  let leaderless = false;
  const etcd = () => problem ? Promise.reject(problem) : Promise.resolve({ ...world.etcd.health(), leaderless });
  const queue = world.queue({ etcd });
  assert.equal(await hear(queue, cp1), "timeout/etcd");
  assert.equal(await hear(queue, cp2), "2/2");
  problem = undefined;
  leaderless = true;
  assert.equal(await hear(queue, cp1), "unavailable/etcd-quorum");
  leaderless = false;
  assert.equal(await hear(queue, cp2), "2/2");
  assert.equal(await hear(queue, cp1), "slot");
});

Deno.test("enter() refuses a Lease that another program wrote, and says what to do", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  const metadata = { name: "control-plane-join", uid: "1", resourceVersion: "1" };
  const spec = { holderIdentity: "x", leaseDurationSeconds: 1, acquireTime: "2026-01-01T00:00:00.000000Z" };
  const waiting = (place: object) => ({ "control-plane-queue": JSON.stringify({ waiting: [place] }) });
  for (
    const annotations of [
      {},
      { "control-plane-queue": "[" },
      { "control-plane-queue": '{"holder":{"identity":"y","nodeName":"y","address":"y"},"waiting":[]}' },
      waiting({ identity: "x", nodeName: "x", since: "x", lastAsked: "x" }),
      waiting({ identity: "x" }),
    ]
  ) {
    world.leases.objects.set(LEASE, { metadata: { ...metadata, annotations }, spec } as never);
    const refusal = await refusalOf(queue, cp1);
    assert.equal(refusal.code, "malformed/control-plane-queue");
    assert.match(refusal.next, /delete the Lease control-plane-join/);
  }
});

Deno.test("enter() gives up with a retriable error when other services are always quicker", async () => {
  const world = new QueueWorld();
  const queue = world.queue();
  await queue.enter(cp1);
  const quicker = world.queue();
  let nested = false;
  world.leases.before = async (call) => {
    if (call !== "replace" || nested) return;
    nested = true;
    await refusalOf(quicker, cp2);
    nested = false;
  };
  const refusal = await refusalOf(queue, cp3);
  assert.equal(refusal.code, "unavailable/control-plane-queue-changed");
  assert.ok(refusal.retriable);
});
