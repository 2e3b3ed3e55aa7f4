import assert from "node:assert/strict";
import { untilAborted } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { LeaseState, StoredLease } from "./lease.ts";
import { inTurn } from "./lease_turn.ts";

const never = new AbortController().signal;

/** One Lease, a clock that passes by sleeping, and what happens at each sleep. */
class TurnWorld {
  lease: StoredLease | undefined;
  version = 0;
  nowMs = 0;
  onSleep: () => void = () => {};

  write(state: LeaseState): StoredLease {
    this.version++;
    return this.lease = { ...state, name: "turn", uid: "1", resourceVersion: String(this.version) };
  }

  readonly leases = {
    find: () => Promise.resolve(this.lease),
    create: (_name: string, state: LeaseState) => {
      if (this.lease !== undefined) throw new BootstrapError("conflict/already-exists", "it is there");
      return Promise.resolve(this.write(state));
    },
    update: (stored: StoredLease, state: LeaseState) => {
      if (this.lease?.resourceVersion !== stored.resourceVersion) {
        throw new BootstrapError("conflict/changed", "changed");
      }
      return Promise.resolve(this.write(state));
    },
  };

  turn(identity: string, clockAheadMs = 0) {
    const clock = {
      now: () => new Date(this.nowMs + clockAheadMs),
      monotonicMs: () => this.nowMs,
      sleep: (ms: number, signal?: AbortSignal) => {
        // The deadline of the work never comes here.
        if (ms > 60_000) return untilAborted(signal ?? never);
        this.nowMs += ms;
        this.onSleep();
        return Promise.resolve();
      },
    };
    return { name: "turn", identity, clock, signal: never };
  }

  hold(identity: string): void {
    const holder = { identity, acquireTime: new Date(0), renewTime: new Date(0), durationSeconds: 600 };
    this.write({ holder, transitions: 0, annotations: {} });
  }
}

Deno.test("inTurn() takes a Lease that is not there or free, and gives it back, also after a failure", async () => {
  const world = new TurnWorld();
  assert.equal(
    await inTurn(world.leases, world.turn("cp-1"), () => Promise.resolve(world.lease?.holder?.identity)),
    "cp-1",
  );
  assert.equal(world.lease?.holder, undefined);
  const failing = inTurn(world.leases, world.turn("cp-2"), () => Promise.reject(new Error("work")));
  await assert.rejects(failing, { message: "work" });
  assert.equal(world.lease?.holder, undefined);
});

Deno.test("inTurn() takes its own Lease again at once after a kill, and waits for another's", async () => {
  const world = new TurnWorld();
  world.hold("cp-1");
  await inTurn(world.leases, world.turn("cp-1"), () => Promise.resolve());
  assert.equal(world.nowMs, 0);
  world.hold("cp-2");
  world.onSleep = () => {
    if (world.nowMs >= 60_000 && world.lease?.holder !== undefined) world.write({ transitions: 1, annotations: {} });
  };
  await inTurn(world.leases, world.turn("cp-1"), () => Promise.resolve());
  assert.ok(world.nowMs >= 60_000 && world.nowMs <= 70_000, String(world.nowMs));
});

Deno.test("inTurn() takes the Lease of a dead holder only after it has watched it for its whole time", async () => {
  const world = new TurnWorld();
  world.hold("cp-2");
  // A clock that is years ahead takes nothing from anybody.
  const turn = world.turn("cp-1", 10 * 365 * 86_400_000);
  await inTurn(world.leases, turn, () => Promise.resolve());
  assert.ok(world.nowMs >= 600_000, String(world.nowMs));
});

Deno.test("inTurn() gives up where others are at it all the time", async () => {
  const world = new TurnWorld();
  world.hold("cp-2");
  world.onSleep = () => world.hold(world.nowMs % 2 === 0 ? "cp-2" : "cp-3");
  await assert.rejects(inTurn(world.leases, world.turn("cp-1"), () => Promise.resolve()), {
    code: "conflict/turn",
    message: /^The control plane cp-[23] is at the same work/,
  });
});

Deno.test("inTurn() ends work that takes longer than a holder has", async () => {
  const world = new TurnWorld();
  const turn = world.turn("cp-1");
  const clock = { ...turn.clock, sleep: () => Promise.resolve() };
  await assert.rejects(inTurn(world.leases, { ...turn, clock }, untilAborted), { code: "timeout/turn" });
});
