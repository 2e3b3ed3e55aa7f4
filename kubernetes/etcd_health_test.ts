import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { checkCanGrow, checkCanRemove, type EtcdHealth, type EtcdMember } from "./etcd_health.ts";

function memberOf(index: number, isLearner = false): EtcdMember {
  return {
    ...{ id: index.toString(16).padStart(16, "0"), name: `cp-${index}`, isLearner },
    ...{ peerUrls: [`https://10.0.0.${index}:2380`], clientUrls: [`https://10.0.0.${index}:2379`] },
  };
}

/** A cluster with a number of voters, of which the first ones are healthy, and optionally a learner. */
function healthOf(voters: number, healthy: number, { learner = false, leaderless = false } = {}): EtcdHealth {
  const members = Array.from({ length: voters }, (_, index) => memberOf(index + 1));
  const ids = members.slice(0, healthy).map(({ id }) => id);
  return { members: learner ? [...members, memberOf(99, true)] : members, healthy: new Set(ids), leaderless };
}

function errorOf(call: () => void): BootstrapError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    return error;
  }
}

const idOf = (index: number) => memberOf(index).id;

Deno.test("checkCanGrow() allows growth when all voters are healthy, regardless of learners", () => {
  for (const voters of [1, 2, 3, 5]) {
    checkCanGrow(healthOf(voters, voters));
    checkCanGrow(healthOf(voters, voters, { learner: true }));
  }
});

Deno.test("checkCanGrow() throws unavailable/etcd-quorum with voters, healthy and needed when a voter is not healthy", () => {
  const error = errorOf(() => checkCanGrow(healthOf(3, 2)));
  assert.equal(error?.code, "unavailable/etcd-quorum");
  assert.equal(error?.retriable, true);
  assert.deepEqual(error?.details, { voters: "3", healthy: "2", needed: "3", unhealthy: `cp-3 (${idOf(3)})` });
  assert.ok(error?.next);
});

Deno.test("checkCanGrow() names a voter that never started by its peer URL", () => {
  const health = healthOf(2, 1);
  const members = health.members.map((member, index) => index === 1 ? { ...member, name: "", clientUrls: [] } : member);
  const error = errorOf(() => checkCanGrow({ ...health, members }));
  assert.equal(error?.details.unhealthy, `https://10.0.0.2:2380 (${idOf(2)})`);
});

Deno.test("checkCanGrow() throws when there is no leader or no voter", () => {
  assert.equal(errorOf(() => checkCanGrow(healthOf(3, 3, { leaderless: true })))?.code, "unavailable/etcd-quorum");
  assert.equal(errorOf(() => checkCanGrow(healthOf(0, 0)))?.code, "unavailable/etcd-quorum");
  assert.equal(errorOf(() => checkCanGrow(healthOf(0, 0, { learner: true })))?.code, "unavailable/etcd-quorum");
});

Deno.test("checkCanRemove() decides by the current quorum and the quorum of the remaining voters", () => {
  const cases: readonly [voters: number, healthy: number, removed: number, may: boolean][] = [
    [1, 1, 1, false],
    [2, 2, 1, true],
    [2, 1, 2, false],
    [3, 3, 1, true],
    [3, 2, 1, false],
    [3, 2, 3, true],
    [3, 1, 3, false],
    [4, 3, 1, true],
    [4, 3, 4, true],
    [5, 3, 1, false],
    [5, 3, 5, true],
    [5, 4, 1, true],
  ];
  for (const [voters, healthy, removed, may] of cases) {
    const error = errorOf(() => checkCanRemove(healthOf(voters, healthy), idOf(removed)));
    assert.equal(error?.code, may ? undefined : "precondition/etcd-quorum", `${voters} ${healthy} ${removed}`);
    if (!may) assert.equal(error?.retriable, false);
  }
});

Deno.test("checkCanRemove() allows removing an unknown ID, and a learner while there is a quorum", () => {
  checkCanRemove(healthOf(1, 1, { learner: true }), memberOf(99).id);
  checkCanRemove(healthOf(1, 1), "ffffffffffffffff");
  const lost = healthOf(2, 1, { learner: true });
  assert.equal(errorOf(() => checkCanRemove(lost, memberOf(99).id))?.code, "precondition/etcd-quorum");
  const leaderless = healthOf(3, 3, { learner: true, leaderless: true });
  assert.equal(errorOf(() => checkCanRemove(leaderless, memberOf(99).id))?.code, "precondition/etcd-quorum");
});

Deno.test("checkCanRemove() never leaves a cluster without a healthy quorum", () => {
  fc.assert(fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), fc.nat(8), (states, at) => {
    const members = states.map((_, index) => memberOf(index + 1));
    const healthy = new Set(members.filter((_, index) => states[index]).map(({ id }) => id));
    const removed = members[at % members.length];
    assert.ok(removed !== undefined);
    const staying = members.filter(({ id }) => id !== removed.id);
    const isQuorum = (of: readonly EtcdMember[]) => 2 * of.filter(({ id }) => healthy.has(id)).length > of.length;
    const error = errorOf(() => checkCanRemove({ members, healthy, leaderless: false }, removed.id));
    assert.equal(error === undefined, isQuorum(members) && isQuorum(staying));
  }));
});
