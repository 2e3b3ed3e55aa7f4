import assert from "node:assert/strict";
import { Socket } from "node:net";
import fc from "fast-check";
import type { OpenConnection } from "./_places.ts";
import { Places } from "./_places.ts";

/** A listener's places, and the connections that were evicted. */
class Room {
  readonly gone: string[] = [];
  readonly places: Places;

  constructor(maximum: number) {
    this.places = new Places(maximum);
  }

  enter(name: string, group: string, nowMs: number, changes: Partial<OpenConnection> = {}): boolean {
    if (!this.places.makeRoom(group, nowMs)) return false;
    const raw = new Socket();
    raw.destroy = () => {
      this.gone.push(name);
      return raw;
    };
    this.places.add(name, {
      ...{ raw, group, openedMs: nowMs, opening: undefined, exchange: undefined, trusted: false },
      ...changes,
    });
    return true;
  }
}

Deno.test("Places evicts the stranger awaited longest, in the peer group with most connections", () => {
  const room = new Room(4);
  for (const [name, group] of [["a", "other"], ["b", "many"], ["c", "many"], ["d", "many"]] as const) {
    assert.ok(room.enter(name, group, name.charCodeAt(0)));
  }
  assert.ok(room.enter("e", "other", 1_000));
  assert.deepEqual(room.gone, ["b"]);
  assert.ok(room.enter("f", "many", 1_001));
  assert.deepEqual(room.gone, ["b", "c"], "a newcomer costs its own group a place if that group is the largest");
});

Deno.test("Places never evicts peers that wait for this side or are trusted", () => {
  const room = new Room(3);
  room.enter("served", "one", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("trusted", "one", 0, { trusted: true });
  assert.ok(room.enter("silent", "one", 1));
  assert.ok(room.enter("served too", "one", 2, { exchange: { awaitedSinceMs: undefined, received: 2 } }));
  assert.deepEqual(room.gone, ["silent"]);
  assert.ok(!room.enter("late", "one", 1_000_000));
  assert.deepEqual(room.gone, ["silent"]);
});

Deno.test("Places prefers a peer that has sent something to one that is only connected, for some seconds", () => {
  const room = new Room(2);
  room.enter("working", "one", 0, { exchange: { awaitedSinceMs: 0, received: 1 } });
  room.enter("idle", "one", 3_000);
  assert.ok(room.enter("third", "one", 4_000));
  assert.deepEqual(room.gone, ["idle"]);
  assert.ok(room.enter("fourth", "one", 10_000));
  assert.deepEqual(room.gone, ["idle", "third"]);
  assert.ok(room.enter("fifth", "one", 16_000, { exchange: { awaitedSinceMs: 15_999, received: 1 } }));
  assert.deepEqual(room.gone, ["idle", "third", "working"], "the credit must run out");
});

Deno.test("Places removes a connection that has ended, but not a newer one of the same address", () => {
  const room = new Room(1);
  room.enter("peer", "one", 0);
  const first = room.places.get("peer");
  assert.ok(first !== undefined);
  room.places.delete("peer", { ...first });
  assert.equal(room.places.get("peer"), first);
  room.places.delete("peer", first);
  assert.ok(room.enter("next", "two", 1));
  assert.deepEqual(room.gone, []);
});

Deno.test("Places counts peers that work or wait for this side as under way, and no others", () => {
  const room = new Room(8);
  room.enter("not begun", "one", 0, { openedMs: undefined });
  room.enter("in its handshake", "one", 9_500);
  room.enter("silent", "one", 0);
  room.enter("served", "one", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("makes its evidence", "one", 0, { exchange: { awaitedSinceMs: 9_900, received: 1 } });
  room.enter("stalls", "one", 0, { exchange: { awaitedSinceMs: 8_000, received: 1 } });
  assert.equal(room.places.countUnderWay(10_000), 3);
});

Deno.test("Places gives a newcomer the place of the largest group's newest held connection", () => {
  const room = new Room(5);
  const held = { openedMs: undefined };
  room.enter("other", "other", 0, held);
  room.enter("at work", "many", 9_500);
  for (const name of ["a", "b", "c"]) assert.ok(room.enter(name, "many", 0, held));
  assert.ok(room.enter("new", "new", 10_000, held));
  assert.deepEqual(room.gone, ["c"]);
  assert.ok(!room.enter("d", "many", 10_000, held), "the newcomer is the newest of that group");
  assert.deepEqual(room.gone, ["c"]);
  assert.ok(room.enter("d", "many", 10_500, held));
  assert.deepEqual(room.gone, ["c", "at work"], "an awaited peer goes before a held one");
});

Deno.test("Places refuses a newcomer only when as many groups as places have one each", () => {
  fc.assert(fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 40 }), (groups) => {
    const room = new Room(4);
    const held = { openedMs: undefined };
    for (const [index, group] of groups.entries()) room.enter(`${index}`, `${group}`, index, held);
    const isShared = new Set([...room.places.values()].map(({ group }) => group)).size === 4;
    assert.equal(room.enter("new", "new", 100, held), !isShared);
  }));
});

Deno.test("Places lets peer groups begin in turn, those with fewest begun connections first", () => {
  const room = new Room(16);
  const held = { openedMs: undefined };
  for (const name of ["a1", "a2", "a3"]) room.enter(name, "a", 0, held);
  room.enter("busy 1", "a", 0);
  room.enter("b1", "b", 0, held);
  room.enter("busy 2", "c", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("c1", "c", 0, held);
  room.enter("b2", "b", 0, held);
  const inTurn = ["b1", "a1", "c1", "b2", "a2", "a3"];
  assert.deepEqual(room.places.heldInTurn(), inTurn.map((name) => room.places.get(name)));
});
