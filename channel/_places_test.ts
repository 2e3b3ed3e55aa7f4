import assert from "node:assert/strict";
import { Socket } from "node:net";
import fc from "fast-check";
import type { OpenConnection } from "./_places.ts";
import { Places } from "./_places.ts";

/** A listener's places, and who lost his. */
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

Deno.test("Places takes the place of the stranger who is awaited longest, on the side that holds most", () => {
  const room = new Room(4);
  for (const [name, group] of [["a", "other"], ["b", "many"], ["c", "many"], ["d", "many"]] as const) {
    assert.ok(room.enter(name, group, name.charCodeAt(0)));
  }
  assert.ok(room.enter("e", "other", 1_000));
  assert.deepEqual(room.gone, ["b"]);
  assert.ok(room.enter("f", "many", 1_001));
  assert.deepEqual(room.gone, ["b", "c"], "who holds most pays for himself");
});

Deno.test("Places leaves those alone who wait for us, and those who have shown who they are", () => {
  const room = new Room(3);
  room.enter("served", "one", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("trusted", "one", 0, { trusted: true });
  assert.ok(room.enter("silent", "one", 1));
  assert.ok(room.enter("served too", "one", 2, { exchange: { awaitedSinceMs: undefined, received: 2 } }));
  assert.deepEqual(room.gone, ["silent"]);
  assert.ok(!room.enter("late", "one", 1_000_000));
  assert.deepEqual(room.gone, ["silent"]);
});

Deno.test("Places prefers whoever has sent something to whoever is only connected, for some seconds", () => {
  const room = new Room(2);
  room.enter("working", "one", 0, { exchange: { awaitedSinceMs: 0, received: 1 } });
  room.enter("idle", "one", 3_000);
  assert.ok(room.enter("third", "one", 4_000));
  assert.deepEqual(room.gone, ["idle"]);
  assert.ok(room.enter("fourth", "one", 10_000));
  assert.deepEqual(room.gone, ["idle", "third"]);
  assert.ok(room.enter("fifth", "one", 16_000, { exchange: { awaitedSinceMs: 15_999, received: 1 } }));
  assert.deepEqual(room.gone, ["idle", "third", "working"], "not for ever");
});

Deno.test("Places forgets a connection that has ended, and not its successor of the same address", () => {
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

Deno.test("Places counts as under way who is at work or waits for us, and not who only holds a place", () => {
  const room = new Room(8);
  room.enter("not begun", "one", 0, { openedMs: undefined });
  room.enter("in its handshake", "one", 9_500);
  room.enter("silent", "one", 0);
  room.enter("served", "one", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("makes its evidence", "one", 0, { exchange: { awaitedSinceMs: 9_900, received: 1 } });
  room.enter("stalls", "one", 0, { exchange: { awaitedSinceMs: 8_000, received: 1 } });
  assert.equal(room.places.countUnderWay(10_000), 3);
});

Deno.test("Places gives a newcomer the newest held connection of the side that holds most, never one that is older", () => {
  const room = new Room(5);
  const held = { openedMs: undefined };
  room.enter("other", "other", 0, held);
  room.enter("at work", "many", 9_500);
  for (const name of ["a", "b", "c"]) assert.ok(room.enter(name, "many", 0, held));
  assert.ok(room.enter("new", "new", 10_000, held));
  assert.deepEqual(room.gone, ["c"]);
  assert.ok(!room.enter("d", "many", 10_000, held), "on that side the newcomer is the newest");
  assert.deepEqual(room.gone, ["c"]);
  assert.ok(room.enter("d", "many", 10_500, held));
  assert.deepEqual(room.gone, ["c", "at work"], "who lets us wait goes first");
});

Deno.test("Places has a place for whoever is new unless all others have one each, however many are held", () => {
  fc.assert(fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 40 }), (groups) => {
    const room = new Room(4);
    const held = { openedMs: undefined };
    for (const [index, group] of groups.entries()) room.enter(`${index}`, `${group}`, index, held);
    const isShared = new Set([...room.places.values()].map(({ group }) => group)).size === 4;
    assert.equal(room.enter("new", "new", 100, held), !isShared);
  }));
});

Deno.test("Places lets each side begin in turn, and those first that have fewest under way", () => {
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
