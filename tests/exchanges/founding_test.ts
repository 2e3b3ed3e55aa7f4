/** Founders meet: the whole exchange over loopback, in each mode. */
import assert from "node:assert/strict";
import type { FounderMeetingOptions, MeetingState } from "../../founding/meeting.ts";
import { EVIDENCE_INTERVAL_MS } from "../../founding/evidence_rate.ts";
import { measureLock } from "../../nodelock/measure.ts";
import { randomBytes } from "../../platform/bytes.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/clock.ts";
import { FOUNDING_MODES, jumpingClock, newFounding, startFounders, TestFounder } from "./founders.ts";
import { ShownMachine } from "./init_machine.ts";

/** A machine that counts the evidence that it makes. */
class CountingMachine extends ShownMachine {
  issued = 0;

  override issue(statement: Uint8Array) {
    this.issued++;
    return super.issue(statement);
  }
}

for (const mode of FOUNDING_MODES) {
  Deno.test(`three founders agree on one view, in the mode ${mode}`, async () => {
    await using world = await startFounders(await newFounding(mode), ["a", "b", "c"]);
    const states = await Promise.all(world.founders.map((founder) => founder.agreed()));
    const names = states.map(({ view }) => view.entries.map(({ name }) => name));
    assert.deepEqual(names[1], names[0]);
    assert.deepEqual(names[2], names[0]);
    assert.deepEqual(names[0]?.toSorted(), ["a", "b", "c"]);
    for (const { view: { entries } } of states) {
      for (const { machine, meeting: { entry } } of world.founders) {
        const isEvidence = mode !== "token";
        assert.equal(entry.identity === await machine.ownIdentity(""), isEvidence);
        assert.ok(entries.some(({ identity }) => identity === entry.identity));
      }
    }
  });
}

Deno.test("a pair makes one exchange, by which each makes evidence once", async () => {
  const founding = await newFounding("both", 2);
  const [one, two] = [new CountingMachine(), new CountingMachine()];
  await using a = await TestFounder.create("a", founding, [], { machine: one });
  await using b = await TestFounder.create("b", founding, [await a.start()], { machine: two });
  await b.start();
  await Promise.all([a.agreed(), b.agreed()]);
  assert.deepEqual([one.issued, two.issued], [1, 1]);
});

Deno.test("founders that all dial all, themselves too, agree, and name no conflict", async () => {
  const founding = await newFounding("both");
  // The ports must be known before the start, as each dials all.
  const ports = ["a", "b", "c"].map(() => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return { listener, port: (listener.addr as Deno.NetAddr).port };
  });
  const peers = ports.map(({ port }) => ({ host: "127.0.0.1", port }));
  for (const { listener } of ports) listener.close();
  await using stack = new AsyncDisposableStack();
  const founders: TestFounder[] = [];
  for (const [index, name] of ["a", "b", "c"].entries()) {
    const listenPort = ports[index]?.port ?? 0;
    founders.push(stack.use(await TestFounder.create(name, founding, peers, { listenPort })));
  }
  await Promise.all(founders.map((founder) => founder.start()));
  await Promise.all(founders.map((founder) => founder.agreed()));
  for (const founder of founders) {
    const error = await founder.failure("conflict/self-dial");
    assert.match(error.message, /is this machine itself/);
    const { view, refusedHellos } = founder.meeting.state;
    assert.deepEqual([view.conflicts, refusedHellos.stranger, refusedHellos.trust], [[], 0, 0]);
    assert.ok(refusedHellos.self >= 1);
  }
});

Deno.test("founders meet over IPv6", async () => {
  const founding = await newFounding("token", 2);
  await using a = await TestFounder.create("a", founding, [], { listen: { host: "::1", port: 0 } });
  const { port } = await a.start();
  await using b = await TestFounder.create("b", founding, [{ host: "::1", port }], { address: "[2001:db8::7]:9444" });
  await b.start();
  await Promise.all([a.agreed(), b.agreed()]);
});

Deno.test("a founder that starts again is met again, with its new card", async () => {
  const founding = await newFounding("both", 2);
  const clock = jumpingClock();
  await using a = await TestFounder.create("a", founding, [], { clock });
  const endpoint = await a.start();
  const b = await TestFounder.create("b", founding, [endpoint]);
  await b.start();
  await a.agreed();
  b.meeting.setCard({ hindrances: ["etcd's image is missing"] });
  const hindered = await a.until(({ view }) => (view.present[0]?.card.hindrances.length ?? 0) > 0, "hindered");
  assert.deepEqual(hindered.view.present[0]?.card.hindrances, ["etcd's image is missing"]);
  await b.stop();
  const { view } = await a.until(({ view: { missing } }) => missing.length === 1, "alone");
  assert.equal(view.missing[0]?.entry.name, "b");
  assert.match(view.summary, /^1 of 2 founders; missing: b \(/);
  clock.jump(EVIDENCE_INTERVAL_MS);
  await using again = await TestFounder.create("b", founding, [endpoint], {
    ...{ machine: b.machine, folder: b.folder, key: b.key },
  });
  await again.start();
  const state = await a.until(({ view: { isAgreed } }) => isAgreed, "agreed again");
  assert.deepEqual(state.view.present[0]?.card.hindrances, []);
});

Deno.test("a founder too many is named by all, and nobody agrees", async () => {
  await using world = await startFounders(await newFounding("token", 2), ["a", "b", "c"]);
  for (const founder of world.founders) {
    const { view } = await founder.until(({ view: { entries } }) => entries.length === 3, "three");
    assert.equal(view.isAgreed, false);
    assert.match(view.summary, /^3 of 2 founders: switch one off/);
  }
});

Deno.test("founders whose clocks differ by more than five minutes are in neither's view, and both times are shown", async () => {
  const founding = await newFounding("both", 2);
  const fast: Clock = { ...systemClock, now: () => new Date(Date.now() + 6 * 60_000) };
  await using a = await TestFounder.create("a", founding, []);
  await using b = await TestFounder.create("b", founding, [await a.start()], { clock: fast });
  await b.start();
  for (const founder of [a, b]) {
    const { view } = await founder.until(({ view: { missing } }) => missing[0]?.reason === "clock", "apart");
    assert.deepEqual([view.present.length, view.isAgreed], [0, false]);
    assert.match(view.summary, /its clock says \S+Z, and this machine's \S+Z/);
  }
});

Deno.test("who has pledged tells a machine outside that it joins later, and takes a member of its roster with its lock", async () => {
  const founding = await newFounding("both", 2);
  const clock = jumpingClock();
  await using a = await TestFounder.create("a", founding, [], { clock });
  const endpoint = await a.start();
  const b = await TestFounder.create("b", founding, [endpoint]);
  await b.start();
  const { view: { entries } } = await a.agreed();
  a.meeting.pledge(entries);
  await using late = await TestFounder.create("late", founding, [endpoint]);
  await late.start();
  const told = await late.failure("precondition/founders-pledged");
  assert.match(told.message, /have pledged without late \(late\.example:9444\): it is no founder, and joins later/);
  await b.stop();
  clock.jump(EVIDENCE_INTERVAL_MS);
  // b was decided on, and has a lock now.
  const clusterId = randomBytes(32);
  await measureLock(b.machine, clusterId);
  const options: Partial<FounderMeetingOptions> = { key: b.key, pledged: entries };
  await using locked = await TestFounder.create("b", founding, [endpoint], {
    ...{ ...options, machine: b.machine, folder: b.folder },
  });
  locked.meeting.setCard({ clusterId, state: "founding" });
  await locked.start();
  const { view } = await a.until(({ view: { present } }) => present[0]?.card.state === "founding", "back");
  assert.deepEqual(view.present[0]?.card.clusterId, Uint8Array.from(clusterId));
  assert.equal(a.meeting.state.view.isAgreed, true);
});

Deno.test("a pledge closes the streams of machines outside", async () => {
  const founding = await newFounding("token", 2);
  await using world = await startFounders(founding, ["a", "b", "c"]);
  const [a, b, c] = world.founders;
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const { view: { entries } } = await a.until(({ view }) => view.entries.length === 3, "three");
  a.meeting.pledge(entries.filter(({ name }) => name !== "c"));
  assert.match((await c.failure("precondition/founders-pledged")).message, /no founder/);
  assert.deepEqual(a.meeting.state.view.present.map(({ entry }) => entry.name), ["b"]);
});

Deno.test("a name's addresses are dialled as they come, and left as they go, but not while their founder is heard", async () => {
  const founding = await newFounding("token");
  const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 50), signal) };
  await using a = await TestFounder.create("a", founding, []);
  const { port } = await a.start();
  let answer: readonly string[] = [];
  const resolve = () => answer.length === 0 ? Promise.reject(new Error("no such name")) : Promise.resolve(answer);
  const peers = [{ host: "founders.example", port }];
  await using b = await TestFounder.create("b", founding, peers, { clock: hurried, resolve });
  await b.start();
  assert.deepEqual(b.meeting.state.dials, []);
  answer = ["127.0.0.1", "127.0.0.2"];
  const dialled = ({ dials }: MeetingState) => dials.map(({ endpoint }) => endpoint);
  const both = [`127.0.0.1:${port}`, `127.0.0.2:${port}`];
  await b.until(({ view: { present }, dials }) => present.length === 1 && dials.length === 2, "met");
  assert.deepEqual(dialled(b.meeting.state), both);
  await b.failure("unavailable/connection");
  answer = ["127.0.0.3"];
  const left = await b.until((state) => dialled(state).includes(`127.0.0.3:${port}`), "elsewhere");
  assert.deepEqual([left.view.present.length, dialled(left)], [1, [`127.0.0.1:${port}`, `127.0.0.3:${port}`]]);
  await a.stop();
  await b.until((state) => !dialled(state).includes(`127.0.0.1:${port}`), "left");
  const changes = b.lines.filter(({ name }) => name.startsWith("founders-"));
  assert.deepEqual(changes.map(({ name }) => name), [
    "founders-not-resolved",
    "founders-resolved",
    "founders-resolved",
  ]);
});

Deno.test("FounderMeeting refuses a pledge of another name, and a founder without what its trust part asks for", async () => {
  const founding = await newFounding("both", 1);
  await using a = await TestFounder.create("a", founding, []);
  const pledged = [{ ...a.meeting.entry, name: "b" }];
  const { key, folder, machine } = a;
  const again = (changes: Partial<FounderMeetingOptions>) =>
    TestFounder.create("a", founding, [], { key, folder, machine: new ShownMachine(), ...changes });
  await assert.rejects(again({ pledged }), { code: "precondition/founder-key" });
  const { trust: { founding: { size, policyDigest } } } = founding;
  const tokenless = { ...founding.trust, founding: { size, policyDigest, tokenKey: new Uint8Array() } };
  await assert.rejects(again({ trust: tokenless }), { code: "internal/argument" });
  assert.equal(machine.variant, "tpm");
});
