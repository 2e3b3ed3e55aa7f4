/** The search for a ticket at endpoints that names have. */
import assert from "node:assert/strict";
import type { EndpointFailure } from "../../join/ticket_search.ts";
import { TicketSearch } from "../../join/ticket_search.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Clock } from "../../platform/clock.ts";
import { readEndpointSource } from "../../platform/endpoint_source.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { FollowedEndpoints, NameService } from "../../platform/follow_endpoints.ts";
import { createLog } from "../../platform/log.ts";
import type { JoinExchangeService } from "../../service/exchange_parts.ts";
import { listenForJoins } from "../../service/testing/join_listener.ts";
import { newNode, TestCluster } from "./join_world.ts";

const SRV_NAME = "_bootstrapper._tcp.example.org";

/** A node that searches at names, and what a name server says. */
class Naming {
  addresses: readonly string[] | undefined;
  port = 0;
  asked = 0;
  readonly followed: FollowedEndpoints[] = [];
  readonly failures: EndpointFailure[] = [];
  readonly events: Record<string, unknown>[] = [];
  readonly stop = new AbortController();
  readonly names: NameService = {
    addresses: (name) => {
      this.asked++;
      return this.addresses === undefined ? Promise.reject(new Error(`no ${name}`)) : Promise.resolve(this.addresses);
    },
    services: (name) => {
      assert.equal(name, SRV_NAME);
      return Promise.resolve([{ priority: 0, port: this.port, name: "services.example.org" }]);
    },
  };

  async run(cluster: TestCluster, endpoint: string, clock: Clock = systemClock, address = "192.0.2.7") {
    return await new TicketSearch({
      endpoints: [readEndpointSource(endpoint, "it")],
      node: await newNode(cluster.trust, { self: { name: "worker-1", address, role: "worker" } }),
      clock,
      names: this.names,
      log: createLog(systemClock, (line) => this.events.push(JSON.parse(line))),
      onFailure: (failure) => this.failures.push(failure),
      onSource: (followed) => this.followed.push(followed),
    }).run(this.stop.signal);
  }

  async until(isIt: () => boolean, ticket: Promise<unknown>) {
    while (!isIt()) await Promise.race([systemClock.sleep(5), ticket]);
  }

  logged(event: string): Record<string, unknown>[] {
    return this.events.filter((one) => one.event === event);
  }
}

/** Everything waits a fiftieth of its time. */
const fastClock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) };

type Admissions = JoinExchangeService["admissions"];

/** Admission records that admit in another way. */
function admitting(admissions: Admissions, admit: Admissions["admit"]): Admissions {
  return {
    find: (identity) => admissions.find(identity),
    stands: (identity, uid) => admissions.stands(identity, uid),
    renew: (record) => admissions.renew(record),
    recordCertificates: (...args) => admissions.recordCertificates(...args),
    admit,
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

Deno.test("TicketSearch waits for a name that is not there yet: no refusal, no error, and said once", async () => {
  await using cluster = await TestCluster.create();
  const node = new Naming();
  const ticket = node.run(cluster, `dns:join.example.org:${cluster.port}`, fastClock);
  await node.until(() => node.asked > 3, ticket);
  assert.deepEqual([node.failures, node.logged("join-endpoints-not-resolved").length], [[], 1]);
  assert.deepEqual(node.events.filter(({ level }) => level !== "info"), []);
  assert.deepEqual(node.followed.map(({ endpoints, failure }) => [endpoints, failure]), [[[], "no join.example.org"]]);
  node.addresses = ["127.0.0.1"];
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
  assert.equal(node.followed.at(-1)?.failure, undefined);
});

Deno.test("TicketSearch asks each address of a name, and follows those that come and go", async () => {
  await using cluster = await TestCluster.create();
  const port = freePort();
  const node = new Naming();
  node.addresses = ["127.0.0.2", "127.0.0.3"];
  const ticket = node.run(cluster, `dns:join.example.org:${port}`, fastClock);
  await node.until(() => node.failures.length === 2, ticket);
  assert.deepEqual(node.failures.map(({ endpoint }) => endpoint).sort(), [`127.0.0.2:${port}`, `127.0.0.3:${port}`]);
  node.addresses = ["127.0.0.3", "127.0.0.4"];
  await node.until(() => node.failures.length === 3, ticket);
  assert.equal(node.failures.at(-1)?.endpoint, `127.0.0.4:${port}`);
  // Nothing is asked any more at the address that went, though a service begins there.
  const left = Deno.listen({ hostname: "127.0.0.2", port });
  let isKnocked = false;
  const accepting = left.accept().then((connection) => (isKnocked = true, connection.close()), () => {});
  const asked = node.asked;
  await node.until(() => node.asked > asked + 2, ticket);
  left.close();
  await accepting;
  assert.equal(isKnocked, false);
  await using _there = await listenForJoins(cluster.service, { host: "127.0.0.4", port });
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
});

Deno.test("TicketSearch takes the ports of SRV records", async () => {
  await using cluster = await TestCluster.create();
  const node = new Naming();
  node.addresses = ["127.0.0.1"];
  node.port = cluster.port;
  assert.deepEqual((await node.run(cluster, `srv:${SRV_NAME}`)).clusterId, cluster.clusterId);
  assert.equal(node.logged("join-endpoints-resolved").length, 1);
});

Deno.test("TicketSearch leaves out the node's own address, and addresses that no service has", async () => {
  await using cluster = await TestCluster.create();
  const node = new Naming();
  node.addresses = ["192.0.2.7", "169.254.0.1", "0.0.0.0", "::ffff:192.0.2.7", "127.0.0.1"];
  await node.run(cluster, `dns:join.example.org:${cluster.port}`);
  assert.deepEqual(node.followed.map(({ endpoints }) => endpoints.map(({ host }) => host)), [["127.0.0.1"]]);
});

Deno.test("TicketSearch keeps asking where it is while the name server fails", async () => {
  await using cluster = await TestCluster.create();
  const port = freePort();
  const node = new Naming();
  node.addresses = ["127.0.0.1"];
  const ticket = node.run(cluster, `dns:join.example.org:${port}`, fastClock);
  await node.until(() => node.failures.length > 0, ticket);
  node.addresses = undefined;
  await node.until(() => node.followed.length === 2, ticket);
  await using _late = await listenForJoins(cluster.service, { host: "127.0.0.1", port });
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
});

Deno.test("TicketSearch ends an exchange whose address has gone from DNS", async () => {
  await using cluster = await TestCluster.create();
  const reached = Promise.withResolvers<void>();
  const proceed = Promise.withResolvers<void>();
  const { admissions } = cluster.service;
  const service = {
    ...cluster.service,
    admissions: admitting(admissions, async (record) => {
      reached.resolve();
      await proceed.promise;
      return await admissions.admit(record);
    }),
  };
  await using server = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
  const node = new Naming();
  node.addresses = ["127.0.0.1"];
  const ticket = node.run(cluster, `dns:join.example.org:${server.port}`, fastClock);
  await reached.promise;
  node.addresses = ["127.0.0.9"];
  await node.until(() => node.followed.length === 2, ticket);
  proceed.resolve();
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
  assert.deepEqual(node.failures.filter(({ kind }) => kind === "refused"), []);
});

Deno.test("TicketSearch pauses at an address that flaps in DNS as at one that stays", async () => {
  await using cluster = await TestCluster.create();
  let admitted = 0;
  const service = {
    ...cluster.service,
    admissions: admitting(cluster.service.admissions, () => {
      admitted++;
      return Promise.reject(new BootstrapError("conflict/node-name", "The name is another's"));
    }),
  };
  await using server = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
  const node = new Naming();
  node.addresses = ["127.0.0.1"];
  const ticket = node.run(cluster, `dns:join.example.org:${server.port}`, {
    ...systemClock,
    // Names are asked for fast; the pause after a refusal is at least ten seconds.
    sleep: (ms, signal) => systemClock.sleep(ms < 10_000 ? ms / 50 : ms, signal),
  });
  await node.until(() => node.failures.length > 0, ticket);
  for (let flaps = 0; flaps < 5; flaps++) {
    const before = node.followed.length;
    node.addresses = flaps % 2 === 0 ? [] : ["127.0.0.1"];
    await node.until(() => node.followed.length > before, ticket);
  }
  assert.equal(admitted, 1);
  node.stop.abort();
  await assert.rejects(ticket, { code: "aborted/ticket-search" });
});
