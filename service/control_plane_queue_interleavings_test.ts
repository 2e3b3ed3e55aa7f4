import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import type { ControlPlaneQueue, QueuedNode } from "./control_plane_queue.ts";
import { queuedNode, QueueWorld } from "./testing/queue.ts";

const SLOT_MS = 1_800_000;
const SERVICES = 3;
const nodes = Array.from({ length: 5 }, (_, number) => queuedNode(number + 1));

/** What happens at the same moment, each at any service. */
type Action =
  | { readonly kind: "ask" | "learn" | "promote" | "abandon"; readonly node: number; readonly service: number }
  | { readonly kind: "look" | "restart"; readonly service: number };

const node = fc.nat({ max: nodes.length - 1 });
const service = fc.nat({ max: SERVICES - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("ask"), node, service }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("learn", "promote", "abandon"), node, service }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("look", "restart"), service }) },
);
const gapMs = fc.oneof(fc.constantFrom(1, 10_000, 30_000), fc.nat({ max: SLOT_MS }));
const moments = fc.array(fc.record({ gapMs, actions: fc.array(action, { minLength: 1, maxLength: 6 }) }), {
  minLength: 5,
  maxLength: 30,
});
const aheadMs = fc.integer({ min: -24 * 3_600_000, max: 24 * 3_600_000 });

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly acquireTime?: string;
  readonly leaseTransitions: number;
}

/** A turn: the holder of the slot, and when it began, in true time. */
interface Turn {
  readonly count: number;
  readonly holder: QueuedNode;
  readonly beganMs: number;
  /** Whether the holder had a vote in etcd at any time during its turn. */
  voted: boolean;
  isOver: boolean;
}

/** A cluster with services whose clocks differ. It checks every state that its Lease ever has. */
class Interleaved {
  readonly world = new QueueWorld();
  readonly turns: Turn[] = [];
  readonly #queues: ControlPlaneQueue[];
  readonly #aheadMs: readonly number[];

  constructor(aheadMs: readonly number[]) {
    this.#aheadMs = aheadMs;
    this.#queues = aheadMs.map((ahead) => this.world.queue({ aheadMs: ahead }));
    this.world.leases.onChange = () => this.#check();
  }

  #check(): void {
    const [lease] = this.world.leases.objects.values();
    const { holderIdentity, leaseTransitions } = (lease as unknown as { readonly spec: LeaseSpec }).spec;
    const last = this.turns.at(-1);
    const holder = nodes.find(({ identity }) => identity === holderIdentity);
    if (last !== undefined && !last.isOver && holder !== last.holder) {
      const lastedMs = this.world.time.ms - last.beganMs;
      const isEarned = last.voted || (holder !== undefined && lastedMs >= SLOT_MS);
      assert.ok(isEarned, `${last.holder.nodeName} lost the slot to ${holder?.nodeName} after ${lastedMs} ms`);
      last.isOver = true;
    }
    if (leaseTransitions === (last?.count ?? 0)) return;
    assert.equal(leaseTransitions, (last?.count ?? 0) + 1, "a turn was left out");
    const turn = { count: leaseTransitions, holder: holder ?? assert.fail(), beganMs: this.world.time.ms };
    this.turns.push({ ...turn, voted: this.#votes(turn.holder), isOver: false });
  }

  #votes({ nodeName }: QueuedNode): boolean {
    return this.world.etcd.members.some(({ name, isLearner }) => name === nodeName && !isLearner);
  }

  async run(action: Action): Promise<void> {
    const { world } = this;
    const queue = this.#queues[action.service] ?? assert.fail();
    if (action.kind === "look") return void await queue.releaseIfPromoted();
    if (!("node" in action)) {
      this.#queues[action.service] = world.queue({ aheadMs: this.#aheadMs[action.service] ?? 0 });
      return;
    }
    const one = nodes[action.node] ?? assert.fail();
    const own = world.etcd.members.find((member) => member.peerUrls.includes(`https://${one.address}:2380`));
    const turn = this.turns.at(-1);
    switch (action.kind) {
      case "ask":
        return await this.#ask(queue, one);
      case "learn":
        // kubeadm on a machine that has, or had, the slot. etcd refuses a second learner.
        if (own === undefined && this.turns.some(({ holder }) => holder === one)) {
          if (!world.etcd.members.some(({ isLearner }) => isLearner)) world.etcd.addLearner(one);
        }
        return;
      case "promote":
        world.etcd.promote(one);
        if (turn?.holder === one && this.#votes(one)) turn.voted = true;
        return;
      case "abandon":
        if (own !== undefined) world.etcd.remove(own.id);
    }
  }

  async #ask(queue: ControlPlaneQueue, one: QueuedNode): Promise<void> {
    this.world.admitted.set(one.nodeName, one.identity);
    try {
      await queue.enter(one);
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code.startsWith("unavailable/"), String(error));
    }
  }
}

Deno.test("ControlPlaneQueue never takes the slot from a holder before its time is over, when clocks differ and anything happens at once", async () => {
  let turns = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(aheadMs, { minLength: SERVICES, maxLength: SERVICES }),
      moments,
      fc.scheduler(),
      async (aheads, story, scheduler) => {
        const interleaved = new Interleaved(aheads);
        const { world } = interleaved;
        world.leases.before = (call) => scheduler.schedule(Promise.resolve(), call);
        for (const { gapMs, actions } of story) {
          world.time.ms += gapMs;
          await scheduler.waitFor(Promise.all(actions.map((action) => interleaved.run(action))));
        }
        turns += interleaved.turns.length;
      },
    ),
    { numRuns: 200 },
  );
  assert.ok(turns > 200, `the stories had ${turns} turns only`);
});

Deno.test("ControlPlaneQueue gives each node its turn, one at a time, when nodes ask several services at once", async () => {
  await fc.assert(fc.asyncProperty(fc.scheduler(), async (scheduler) => {
    const world = new QueueWorld();
    const queues = Array.from({ length: SERVICES }, () => world.queue());
    world.leases.before = (call) => scheduler.schedule(Promise.resolve(), call);
    const order: string[] = [];
    while (order.length < nodes.length) {
      const left = nodes.filter(({ nodeName }) => !order.includes(nodeName));
      const asked = Promise.allSettled(left.map((one, index) => queues[index % SERVICES]?.enter(one)));
      const outcomes = await scheduler.waitFor(asked);
      const holders = left.filter((_, index) => outcomes[index]?.status === "fulfilled");
      assert.ok(holders.length <= 1, "two have the slot");
      for (const holder of holders) {
        order.push(holder.nodeName);
        world.etcd.addLearner(holder);
        world.etcd.promote(holder);
      }
      world.time.ms += 10_000;
      assert.ok(world.time.ms < SLOT_MS, `only ${order} had a turn`);
    }
  }));
});
