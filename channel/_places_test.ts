import assert from "node:assert/strict";
import fc from "fast-check";
import { LONGEST_OPENING_MS } from "./_places.ts";
import { Room } from "./testing/room.ts";

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
  room.enter("idle", "one", 3_000, { silent: true });
  assert.ok(room.enter("third", "one", 4_000, { silent: true }));
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
  const room = new Room(10);
  room.enter("not begun", "one", 0, { openedMs: undefined });
  room.enter("in its handshake", "one", 9_500);
  room.enter("silent", "one", 0);
  room.enter("served", "one", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  room.enter("makes its evidence", "one", 0, { exchange: { awaitedSinceMs: 9_900, received: 1 } });
  room.enter("stalls", "one", 0, { exchange: { awaitedSinceMs: 8_000, received: 1 } });
  room.enter("has just connected", "one", 9_950);
  room.enter("has sent nothing", "one", 9_500, { silent: true });
  assert.equal(room.places.countUnderWay(10_000), 4);
});

Deno.test("Places gives a newcomer the place of the largest group's newest held connection", () => {
  const room = new Room(5);
  const held = { openedMs: undefined };
  room.enter("other", "other", 0, held);
  room.enter("at work", "many", 9_600, { silent: true });
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
    const isShared = new Set([...room.places.values()].map(({ origin }) => origin.group)).size === 4;
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
  assert.deepEqual(room.places.heldInTurn(0), inTurn.map((name) => room.places.get(name)));
});

Deno.test("Places gives the place of the stranger that has waited longest to a newcomer on a tie", () => {
  const room = new Room(3);
  for (const name of ["a", "b", "c"]) room.enter(name, name, name.charCodeAt(0), { silent: true });
  assert.ok(room.enter("d", "d", 1_000));
  assert.deepEqual(room.gone, ["a"]);
});

Deno.test("Places lets an address take the place of a peer at work, and then pause", () => {
  const room = new Room(3);
  for (const name of ["a", "b", "c"]) room.enter(name, name, 0);
  assert.ok(room.enter("d1", "d", 100, { address: "d1" }));
  room.places.delete("d1", room.places.get("d1") ?? assert.fail());
  assert.ok(room.enter("a again", "a", 110), "a place is free");
  assert.ok(!room.enter("d2", "d", 200, { address: "d2" }), "the group has just displaced a peer of another group");
  assert.ok(room.enter("e", "e", 200));
  assert.deepEqual(room.gone, ["a", "b"]);
  assert.ok(room.enter("e2", "e", 210, { address: "e2" }), "within its own group each address counts for itself");
  assert.deepEqual(room.gone, ["a", "b", "e"]);
  assert.ok(!room.enter("e3", "e", 220, { address: "e2" }));
});

Deno.test("Places lets an address pause for longer with each place that it takes from a peer at work", () => {
  const room = new Room(1);
  const takesPlace = (nowMs: number) => {
    room.enter("at work", "other", nowMs - 10);
    const isIn = room.enter("again", "one", nowMs);
    const name = isIn ? "again" : "at work";
    room.places.delete(name, room.places.get(name) ?? assert.fail());
    return isIn;
  };
  assert.deepEqual([0, 990, 1_010, 3_000, 3_020].map(takesPlace), [true, false, true, false, true]);
});

Deno.test("Places forgets that a peer has taken a place when the peer is trusted", () => {
  const room = new Room(1);
  room.enter("a", "a", 0);
  for (const name of ["b1", "b2"]) {
    assert.ok(room.enter(name, "b", 1));
    const connection = room.places.get(name) ?? assert.fail();
    room.places.trust(connection);
    assert.ok(connection.trusted);
    room.places.delete(name, connection);
    room.enter("a", "a", 1);
  }
});

Deno.test("Places prefers callers to addresses that had a silent connection, until a peer there is trusted", () => {
  const room = new Room(2);
  const held = { openedMs: undefined };
  room.enter("idle", "suspect", 0);
  const idle = room.places.get("idle") ?? assert.fail();
  room.places.noteSilence(idle, 100);
  room.places.delete("idle", idle);
  room.enter("at work", "b", 1_000);
  room.enter("back", "suspect", 1_000, held);
  room.enter("c", "c", 1_000);
  assert.deepEqual(room.gone, ["back"], "its place goes first");
  assert.ok(!room.enter("back", "suspect", 1_001, held), "it takes no place of a peer at work");
  assert.ok(room.places.isSuspect({ group: "x", address: "suspect" }, 1_000));
  room.places.trust(idle);
  assert.ok(room.enter("back", "suspect", 1_002));
  assert.ok(!room.places.isSuspect({ group: "x", address: "suspect" }, 1_002));
});

Deno.test("Places lets suspect addresses begin last", () => {
  const room = new Room(8);
  const held = { openedMs: undefined };
  for (const name of ["a", "b", "c"]) room.enter(name, name, 0, held);
  room.places.noteSilence(room.places.get("a") ?? assert.fail(), 0);
  assert.deepEqual(room.places.heldInTurn(1), ["b", "c", "a"].map((name) => room.places.get(name)));
});

Deno.test("Places counts a peer among the strangers of its group again when its exchange is over", () => {
  const room = new Room(2);
  room.enter("trusted", "a", 0);
  const connection = room.places.get("trusted") ?? assert.fail();
  room.places.trust(connection);
  room.enter("b", "b", 1_999);
  room.places.release(connection, 0);
  assert.ok(room.enter("c", "c", 2_000));
  assert.deepEqual(room.gone, ["trusted"]);
});

Deno.test("Places closes unopened connections earlier the fuller it is", () => {
  const room = new Room(4);
  room.enter("silent", "a", 0, { silent: true });
  room.enter("held", "a", 0, { openedMs: undefined });
  assert.equal(room.places.openingMs(), LONGEST_OPENING_MS);
  room.places.closeOverdue(9_000);
  assert.deepEqual(room.gone, []);
  room.enter("served", "b", 0, { exchange: { awaitedSinceMs: undefined, received: 1 } });
  assert.equal(room.places.openingMs(), 6_250);
  room.enter("late", "c", 6_000);
  assert.equal(room.places.openingMs(), 2_500);
  room.places.closeOverdue(9_100);
  assert.deepEqual(room.gone, ["silent", "late"]);
});
