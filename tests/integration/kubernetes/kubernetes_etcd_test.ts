import assert from "node:assert/strict";
import { join } from "node:path";
import { EtcdCluster, type EtcdCredentials, type EtcdHealth, type EtcdMember } from "../../../kubernetes/etcd.ts";
import { checkCanGrow, checkCanRemove } from "../../../kubernetes/etcd.ts";
import { systemClock } from "../../../platform/clock.ts";
import { serveDials } from "../../../platform/dialing.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { World } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";
import { TestCa } from "./cluster.ts";
import { etcdCredentials, etcdctl, makeEtcdCertificates, startEtcd } from "./_etcd.ts";

const DEADLINE_MS = 2_000;
/** For changes that etcd makes in its own time: elections, and 5 s of connection to all members before it adds one. */
const WAIT_MS = 60_000;

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

const endpointOf = ({ ip }: WorldNode) => `${ip}:2379`;

function memberNamed(members: readonly EtcdMember[], name: string): EtcdMember {
  const found = members.find((member) => member.name === name);
  assert.ok(found !== undefined, `no member "${name}"`);
  return found;
}

/** The texts of an error and all its causes. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const errors = error instanceof AggregateError ? error.errors.map(textOf).join() : "";
  return `${error.stack}${JSON.stringify(error)}${error.cause === undefined ? "" : textOf(error.cause)}${errors}`;
}

function waitForHealth(
  cluster: EtcdCluster,
  what: string,
  holds: (health: EtcdHealth) => boolean,
): Promise<EtcdHealth> {
  return waitUntil({ what, deadlineMs: WAIT_MS }, async () => {
    try {
      const health = await cluster.health();
      return holds(health) && health;
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.retriable, String(error));
      return undefined;
    }
  });
}

/** Forwards connections to etcd on a node until the listener is closed. */
async function forward(listener: Deno.TcpListener, to: WorldNode): Promise<void> {
  try {
    for await (const from of listener) {
      const onward = await Deno.connect({ hostname: to.ip, port: 2379 });
      const pipes = [from.readable.pipeTo(onward.writable), onward.readable.pipeTo(from.writable)];
      await Promise.allSettled(pipes);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Forwards one connection, whose first line says where, to a node of its own choice. */
async function forwardOne(from: Deno.Conn, to: WorldNode): Promise<void> {
  const buffer = new Uint8Array(4096);
  const count = await from.read(buffer) ?? 0;
  const end = buffer.indexOf(0x0a) + 1;
  const onward = await Deno.connect({ hostname: to.ip, port: 2379 });
  if (count > end) await onward.write(buffer.subarray(end, count));
  Promise.allSettled([from.readable.pipeTo(onward.writable), onward.readable.pipeTo(from.writable)]);
}

/** etcd refuses until all voters have been connected for 5 s. */
async function addMember(by: WorldNode, peerIp: string, ...flags: readonly string[]): Promise<void> {
  await waitUntil(
    { what: `member at ${peerIp}`, deadlineMs: WAIT_MS },
    async () =>
      await etcdctl(by, "member", "add", "added", `--peer-urls=https://${peerIp}:2380`, ...flags) !== undefined,
  );
}

Deno.test("EtcdCluster, against real etcd with kubeadm's certificates", async (t) => {
  const { dir } = await prepareBinaries();
  await using world = await World.create({ binaries: dir });
  const cp1 = await world.node("cp-1");
  const cp2 = await world.node("cp-2");
  const cp3 = await world.node("cp-3");
  const cp4 = await world.node("cp-4");
  const stranger = await world.node("stranger");
  await makeEtcdCertificates(cp1);
  for (const node of [cp2, cp3, cp4]) await makeEtcdCertificates(node, cp1);
  await makeEtcdCertificates(stranger);
  startEtcd(cp1);
  const credentials = await etcdCredentials(cp1);
  const strangers = await etcdCredentials(stranger);
  const endpoints = [cp1, cp2, cp3].map(endpointOf) as [string, ...string[]];
  using cluster = new EtcdCluster(endpoints, credentials, { deadlineMs: DEADLINE_MS });

  await t.step("health() shows a single voter, which must stay and may get others", async () => {
    const health = await waitForHealth(
      cluster,
      "healthy cp-1",
      ({ healthy, leaderless }) => !leaderless && healthy.size === 1,
    );
    assert.deepEqual(health.members.map(({ id: _, ...rest }) => rest), [{
      ...{ name: "cp-1", isLearner: false },
      ...{ peerUrls: [`https://${cp1.ip}:2380`], clientUrls: [`https://${cp1.ip}:2379`] },
    }]);
    checkCanGrow(health);
    assert.throws(
      () => checkCanRemove(health, memberNamed(health.members, "cp-1").id),
      codeIs("precondition/etcd-quorum"),
    );
  });

  await t.step("members() fails as unauthorized when one side does not accept the other's certificate", async () => {
    const otherCa = await TestCa.create();
    const { certificatePem, keyPem } = await otherCa.client("/O=system:masters/CN=kube-apiserver");
    await Deno.remove(otherCa.folder, { recursive: true });
    const wrong: Readonly<Record<string, EtcdCredentials>> = {
      "another etcd's CA": { ...credentials, caPem: strangers.caPem },
      "a client of another etcd": { ...strangers, caPem: credentials.caPem },
      "a client of another CA": { ...credentials, certificatePem, keyPem },
    };
    for (const [what, parts] of Object.entries(wrong)) {
      using other = new EtcdCluster([endpointOf(cp1)], parts, { deadlineMs: DEADLINE_MS });
      for (const call of [() => other.members(), () => other.health(), () => other.remove("00000000000000aa")]) {
        await assert.rejects(call, (error) => {
          assert.ok(codeIs("unauthorized/etcd")(error), `${what}: ${textOf(error)}`);
          const key = parts.keyPem.split("\n")[1] ?? "";
          assert.ok(key.length > 40 && !textOf(error).includes(key), what);
          return true;
        });
      }
    }
  });

  await t.step("members() fails as unauthorized when the address is not in the member's certificate", async () => {
    using listener = Deno.listen({ hostname: world.operatorAddress, port: 0 });
    const forwarding = forward(listener, cp1);
    using other = new EtcdCluster([`${world.operatorAddress}:${listener.addr.port}`], credentials);
    await assert.rejects(other.members(), (error) => {
      assert.ok(codeIs("unauthorized/etcd")(error), textOf(error));
      assert.ok(error instanceof BootstrapError && error.details.reason === "ERR_TLS_CERT_ALTNAME_INVALID");
      return true;
    });
    listener.close();
    await forwarding;
  });

  await t.step("members() ends at its deadline when an endpoint accepts the connection and never answers", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const silent = `127.0.0.1:${listener.addr.port}`;
    using hanging = new EtcdCluster([silent], credentials, { deadlineMs: 300 });
    const call = assert.rejects(hanging.members(), codeIs("timeout/etcd"));
    using connection = await listener.accept();
    await call;
    // The client's hello, and then the end: no connection is left open.
    const length = (await new Response(connection.readable).bytes()).length;
    assert.ok(length > 0);
    using both = new EtcdCluster([silent, endpointOf(cp1)], credentials, { deadlineMs: DEADLINE_MS });
    assert.equal((await both.members()).length, 1);
  });

  await t.step("members() fails as unavailable when no process listens", async () => {
    using other = new EtcdCluster([`${cp2.ip}:2379`, `${cp3.ip}:2379`], credentials, { deadlineMs: DEADLINE_MS });
    await assert.rejects(other.members(), codeIs("unavailable/etcd"));
  });

  await t.step("a disposed cluster ends its calls", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const other = new EtcdCluster([`127.0.0.1:${listener.addr.port}`], credentials);
    const call = assert.rejects(other.members(), codeIs("aborted/etcd"));
    using _connection = await listener.accept();
    other[Symbol.dispose]();
    await call;
    await assert.rejects(other.members(), codeIs("aborted/etcd"));
  });

  await t.step("members() tells voters, a learner and a member that never started apart", async () => {
    await addMember(cp1, cp2.ip);
    startEtcd(cp2, [cp1]);
    await waitForHealth(cluster, "healthy cp-2", ({ healthy }) => healthy.size === 2);
    await addMember(cp1, cp3.ip);
    startEtcd(cp3, [cp1, cp2]);
    await waitForHealth(cluster, "healthy cp-3", ({ healthy }) => healthy.size === 3);
    await addMember(cp1, cp4.ip, "--learner");
    startEtcd(cp4, [cp1, cp2, cp3]);
    await waitForHealth(cluster, "started learner", ({ members }) => members.some(({ name }) => name === "cp-4"));
    const grown = await cluster.health();
    checkCanGrow(grown);
    for (const { id } of grown.members) checkCanRemove(grown, id);
    await addMember(cp1, stranger.ip);

    const health = await waitForHealth(cluster, "healthy voters", ({ healthy }) => healthy.size === 3);
    assert.deepEqual(
      health.members.map(({ name, isLearner, clientUrls }) => [name, isLearner, clientUrls.length]).toSorted(),
      [["", false, 0], ["cp-1", false, 1], ["cp-2", false, 1], ["cp-3", false, 1], ["cp-4", true, 1]],
    );
    // etcdctl writes IDs without leading zeros.
    const listed = (await etcdctl(cp1, "member", "list") ?? "").trim().split("\n").map((line) => line.split(", "));
    assert.deepEqual(
      listed.map(([id = "", state, name]) => [id.padStart(16, "0"), state, name]).toSorted(),
      health.members.map(({ id, name }) => [id, name === "" ? "unstarted" : "started", name]).toSorted(),
    );
    assert.throws(() => checkCanGrow(health), (error) => {
      assert.ok(error instanceof BootstrapError && error.code === "unavailable/etcd-quorum" && error.retriable);
      const { voters, healthy, needed } = error.details;
      assert.deepEqual({ voters, healthy, needed }, { voters: "4", healthy: "3", needed: "4" });
      return true;
    });
    using learner = new EtcdCluster([endpointOf(cp4)], credentials, { deadlineMs: DEADLINE_MS });
    await assert.rejects(learner.members(), codeIs("precondition/etcd"));
  });

  await t.step("remove() removes a member that never started, and returns false when called again", async () => {
    const { id } = memberNamed(await cluster.members(), "");
    assert.equal(await cluster.remove(id), true);
    assert.equal(await cluster.remove(id), false);
    assert.ok((await cluster.members()).every(({ name }) => name !== ""));
  });

  await t.step("remove() removes a learner", async () => {
    assert.equal(await cluster.remove(memberNamed(await cluster.members(), "cp-4").id), true);
  });

  await t.step("a lost voter prevents new members; it is the only one that may be removed", async () => {
    await cp3.powerOff();
    const health = await waitForHealth(
      cluster,
      "two of three healthy",
      ({ healthy, leaderless }) => !leaderless && healthy.size === 2,
    );
    assert.throws(() => checkCanGrow(health), codeIs("unavailable/etcd-quorum"));
    const idOf = (name: string) => memberNamed(health.members, name).id;
    assert.throws(() => checkCanRemove(health, idOf("cp-2")), codeIs("precondition/etcd-quorum"));
    checkCanRemove(health, idOf("cp-3"));
    assert.equal(await cluster.remove(idOf("cp-3")), true);
    checkCanGrow(await waitForHealth(cluster, "two voters", ({ healthy, members }) => healthy.size === members.length));
  });

  await t.step("etcd itself refuses remove() when too few started members would remain", async () => {
    await addMember(cp1, stranger.ip);
    const members = await cluster.members();
    await assert.rejects(cluster.remove(memberNamed(members, "cp-2").id), codeIs("precondition/etcd"));
    assert.equal(await cluster.remove(memberNamed(members, "").id), true);
  });

  await t.step(
    "health() asks the other members through a process that connects, and calls none of them itself",
    async () => {
      const folder = await Deno.makeTempDir();
      const [stop, path] = [new AbortController(), join(folder, "etcd.sock")];
      using own = new EtcdCluster([endpointOf(cp1)], credentials, { deadlineMs: DEADLINE_MS, dialer: path });
      const alone = await own.health();
      assert.deepEqual([...alone.healthy], [], "nobody connects");
      const serving = serveDials({ path, port: 2379, clock: systemClock }, stop.signal);
      const health = await waitForHealth(own, "two voters", ({ healthy, members }) => healthy.size === members.length);
      assert.equal(health.members.length, 2);
      stop.abort();
      await serving;
      // One that connects to another member than it was told, and one that closes at once: neither passes for a member.
      for (const answer of [(conn: Deno.Conn) => forwardOne(conn, cp2), (conn: Deno.Conn) => conn.close()]) {
        await Deno.remove(path).catch(() => {});
        using liar = Deno.listen({ transport: "unix", path });
        const lying = (async () => {
          for await (const conn of liar) await answer(conn);
        })().catch(() => {});
        const { healthy } = await own.health();
        assert.ok(!healthy.has(memberNamed(health.members, "cp-1").id));
        liar.close();
        await lying;
      }
      await Deno.remove(folder, { recursive: true });
    },
  );

  await t.step("health() shows the remaining members when the quorum is lost; members() fails", async () => {
    await cp2.powerOff();
    const health = await waitForHealth(cluster, "loss of the leader", ({ leaderless }) => leaderless);
    assert.equal(health.members.length, 2);
    assert.deepEqual([...health.healthy], [memberNamed(health.members, "cp-1").id]);
    await assert.rejects(cluster.members(), (error) => error instanceof BootstrapError && error.retriable);
    assert.throws(() => checkCanGrow(health), codeIs("unavailable/etcd-quorum"));
    for (const { id } of health.members) {
      assert.throws(() => checkCanRemove(health, id), codeIs("precondition/etcd-quorum"));
    }
  });

  await t.step("remove() removes the member that it calls", async () => {
    await cp2.powerOn();
    startEtcd(cp2, [cp1]);
    const health = await waitForHealth(
      cluster,
      "cp-2 back",
      ({ healthy, leaderless }) => !leaderless && healthy.size === 2,
    );
    const { id } = memberNamed(health.members, "cp-2");
    checkCanRemove(health, id);
    using own = new EtcdCluster([endpointOf(cp2)], credentials, { deadlineMs: 15_000 });
    // As for adding a member, the others must have been connected for 5 s; until then etcd reports that it is
    // unhealthy. The removed member's etcd ends, and its answer may be lost with it: then the others say whether it is
    // removed.
    const removed = await waitUntil({ what: "removal", deadlineMs: 2 * WAIT_MS }, async () => {
      try {
        return await own.remove(id);
      } catch (error) {
        assert.ok(codeIs("unavailable/etcd")(error) || codeIs("timeout/etcd")(error), textOf(error));
        const others = await cluster.members().catch(() => undefined);
        return others !== undefined && others.every((member) => member.id !== id);
      }
    });
    assert.equal(removed, true);
    const left = await waitForHealth(
      cluster,
      "cp-1 alone",
      ({ healthy, leaderless }) => !leaderless && healthy.size === 1,
    );
    assert.deepEqual(left.members.map(({ name }) => name), ["cp-1"]);
  });
});
