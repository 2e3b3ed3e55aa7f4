import assert from "node:assert/strict";
import { listen } from "../../channel/server.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createLog, silentLog } from "../../platform/log.ts";
import { JoinServiceService } from "../../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../proto/gen/bootstrapper.ts";
import { newNode, TestCluster } from "./join_world.ts";
import type { JoinExchangeService } from "../../service/exchange_parts.ts";
import { listenForJoins } from "../../service/testing/join_listener.ts";
import type { EndpointFailure, TicketSearchOptions } from "../../join/ticket_search.ts";
import { TicketSearch } from "../../join/ticket_search.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };

/** A node's search at some ports, with its log and its failures. */
class Searching {
  readonly failures: EndpointFailure[] = [];
  readonly events: Record<string, unknown>[] = [];
  readonly stop = new AbortController();

  async run(cluster: TestCluster, ports: readonly number[], changes: Partial<TicketSearchOptions> = {}) {
    return await new TicketSearch({
      endpoints: ports.map((port) => ({ host: "127.0.0.1", port })),
      node: await newNode(cluster.trust),
      clock: systemClock,
      log: createLog(systemClock, (line) => this.events.push(JSON.parse(line))),
      onFailure: (failure) => this.failures.push(failure),
      ...changes,
    }).run(this.stop.signal);
  }
}

/** Admission records that refuse, and record when they were asked. */
class Refusing {
  readonly askedMs: number[] = [];
  error: BootstrapError | undefined;

  constructor(error: BootstrapError) {
    this.error = error;
  }

  wrap(admissions: JoinExchangeService["admissions"]): JoinExchangeService["admissions"] {
    return {
      find: (identity) => admissions.find(identity),
      stands: (identity, uid) => admissions.stands(identity, uid),
      renew: (record) => admissions.renew(record),
      recordCertificates: (...args) => admissions.recordCertificates(...args),
      admit: (record) => {
        this.askedMs.push(performance.now());
        return this.error === undefined ? admissions.admit(record) : Promise.reject(this.error);
      },
    };
  }
}

const queued = (retryAfterSeconds: number) =>
  new BootstrapError("unavailable/control-plane-queue", "You are the second", { retryAfterSeconds });

Deno.test("TicketSearch waits as long as one service tells it to before it asks any service", async () => {
  await using cluster = await TestCluster.create();
  const refusing = new Refusing(queued(1));
  const service = { ...cluster.service, admissions: refusing.wrap(cluster.admissions) };
  await using first = await listenForJoins(service, LOOPBACK);
  await using second = await listenForJoins(service, LOOPBACK);
  const node = new Searching();
  const ticket = node.run(cluster, [first.port, second.port]);
  while (refusing.askedMs.length < 2) await Promise.race([ticket, systemClock.sleep(10)]);
  refusing.error = undefined;
  await ticket;
  const [one = 0, two = 0, three = 0] = refusing.askedMs;
  assert.ok(two - one >= 1_000 && three - two >= 1_000, refusing.askedMs.join());
  assert.equal(refusing.askedMs.length, 3);
  assert.equal(node.failures.length, 2, "a wait that another service asked for was reported as a failure");
});

Deno.test("TicketSearch is not kept from its cluster by a stranger that tells it to wait", async () => {
  await using cluster = await TestCluster.create();
  await using stranger = await listen<JoinClientMessage, JoinServerMessage>({
    ...{ service: JoinServiceService, ...LOOPBACK, maximumConnections: 8, log: silentLog },
    handle({ explainRefusals }) {
      explainRefusals();
      return Promise.reject(queued(30));
    },
  });
  const refusing = new Refusing(new BootstrapError("unavailable/etcd", "Not just now"));
  const service = { ...cluster.service, admissions: refusing.wrap(cluster.admissions) };
  await using genuine = await listenForJoins(service, LOOPBACK);
  const node = new Searching();
  const ticket = node.run(cluster, [stranger.port, genuine.port]);
  while (refusing.askedMs.length === 0 || node.failures.length < 2) {
    await Promise.race([ticket, systemClock.sleep(10)]);
  }
  refusing.error = undefined;
  await ticket;
  assert.equal(node.failures.filter(({ error }) => error.code === "unavailable/control-plane-queue").length, 1);
});

Deno.test("TicketSearch asks a stranger again within seconds whatever it says, and a service no earlier than it says", async () => {
  await using cluster = await TestCluster.create();
  await using stranger = await listen<JoinClientMessage, JoinServerMessage>({
    ...{ service: JoinServiceService, ...LOOPBACK, maximumConnections: 8, log: silentLog },
    handle: () => Promise.reject(queued(30)),
  });
  const refusing = new Refusing(queued(30));
  const service = { ...cluster.service, admissions: refusing.wrap(cluster.admissions) };
  await using genuine = await listenForJoins(service, LOOPBACK);
  for (
    const [port, isExpected] of [[stranger.port, (ms: number) => ms <= 10_000], [
      genuine.port,
      (ms: number) => ms >= 30_000,
    ]] as const
  ) {
    const paused = Promise.withResolvers<number>();
    const node = new Searching();
    const clock: Clock = {
      ...systemClock,
      sleep(ms, signal) {
        if (node.failures.length > 0) paused.resolve(ms);
        return systemClock.sleep(ms, signal);
      },
    };
    const ticket = node.run(cluster, [port], { clock });
    const pauseMs = await Promise.race([paused.promise, ticket.then(() => assert.fail())]);
    assert.ok(isExpected(pauseMs), `${pauseMs}`);
    node.stop.abort();
    await assert.rejects(ticket, { code: "aborted/ticket-search" });
  }
});

Deno.test("TicketSearch reports a final refusal once, and asks again after ever longer pauses", async () => {
  await using cluster = await TestCluster.create();
  const refusing = new Refusing(new BootstrapError("conflict/node-name", "The name is another's"));
  const service = { ...cluster.service, admissions: refusing.wrap(cluster.admissions) };
  await using server = await listenForJoins(service, LOOPBACK);
  const pauses: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep(ms, signal) {
      if (ms >= 10_000) pauses.push(ms);
      return systemClock.sleep(ms >= 10_000 ? 0 : ms / 100, signal);
    },
  };
  const node = new Searching();
  const ticket = node.run(cluster, [server.port], { clock });
  while (node.failures.length < 4) await Promise.race([ticket, systemClock.sleep(10)]);
  node.stop.abort();
  await assert.rejects(ticket, { code: "aborted/ticket-search" });
  const [first = 0, , , fourth = 0] = pauses.filter((ms) => ms !== 30_000);
  assert.ok(first >= 10_000 && fourth > 1.5 * first, pauses.join());
  const said = node.events.filter(({ event }) => event === "join-endpoint-refused").map(({ level }) => level);
  assert.deepEqual(said.slice(0, 4), ["error", "debug", "debug", "debug"]);
});

Deno.test("TicketSearch gets its ticket from another service when one dies with its request", async () => {
  await using cluster = await TestCluster.create();
  const died = Promise.withResolvers<void>();
  const dying = await listenForJoins({
    ...cluster.service,
    verifier: {
      variant: "none",
      identityIsKey: true,
      verify() {
        died.resolve();
        return new Promise<never>(() => {});
      },
    },
  }, LOOPBACK);
  const node = new Searching();
  const port = freePort();
  const ticket = node.run(cluster, [dying.port, port]);
  await Promise.race([died.promise, ticket]);
  await using _other = await listenForJoins(cluster.service, { ...LOOPBACK, port });
  await dying.close();
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
  assert.equal(cluster.admissions.records.length, 1);
});

Deno.test("TicketSearch asks another service too when one is alive but makes no progress", async () => {
  await using cluster = await TestCluster.create();
  const stuck = Promise.withResolvers<void>();
  await using slow = await listenForJoins({
    ...cluster.service,
    clusterVersion() {
      stuck.resolve();
      return new Promise<never>(() => {});
    },
  }, LOOPBACK);
  const port = freePort();
  const node = new Searching();
  const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) };
  const ticket = node.run(cluster, [slow.port, port], { clock });
  await Promise.race([stuck.promise, ticket]);
  await using _other = await listenForJoins(cluster.service, { ...LOOPBACK, port });
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
  assert.ok(!node.failures.some(({ endpoint }) => endpoint.endsWith(`:${slow.port}`)));
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

Deno.test("TicketSearch ends when this machine's own device fails, and blames no service for it", async () => {
  await using cluster = await TestCluster.create();
  await using service = await listenForJoins(cluster.service, LOOPBACK);
  const node = await newNode(cluster.trust);
  const broken = new BootstrapError("system/tpm-transport", "Cannot talk to the TPM at /dev/tpmrm0: EIO");
  const searching = new Searching();
  const ticket = searching.run(cluster, [service.port], {
    node: { ...node, issuer: { ...node.issuer, issue: () => Promise.reject(broken) } },
  });
  await assert.rejects(ticket, { code: "system/tpm-transport" });
  assert.deepEqual([searching.failures, searching.events], [[], []]);
});
