import assert from "node:assert/strict";
import { TicketSearch } from "../../../join/ticket_search.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { ATTRIBUTE } from "../../../certificate/name.ts";
import { listenForJoins } from "../../../service/testing/join_listener.ts";
import { newNode, TestCluster } from "../../exchanges/join_world.ts";
import { base64 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLog } from "../../../platform/log.ts";
import { EK_ORGANIZATION, LoadNodes } from "../../bench/load_nodes.ts";
import { World } from "../../world.ts";
import { HOSTILE_PEERS } from "../attacks/hostile_peers.ts";
import { cutOffMiddle } from "./_cut_off_middle.ts";

const NODES = 50;
const HOSTILE = 1_000;
const WAITING = 100;
const DEADLINE_MS = 90_000;

Deno.test("50 nodes get their tickets while a thousand hostile peers of every kind are connected from the same address", async () => {
  // Records and certificates are made in memory here. Evidence and its verification are a TPM's, and the nodes have
  // their own processes. All peers share the nodes' address, as behind a NAT, which is the hardest case.
  await using nodes = await LoadNodes.create(2);
  const issuer = {
    certificate: nodes.authority.certificate,
    attributes: [{ oid: ATTRIBUTE.organization, value: EK_ORGANIZATION }],
  };
  await using cluster = await TestCluster.create({
    verifier: createTpmVerifier({
      ekType: "ecc-p256",
      pcrs: new Map([[4, [new Uint8Array(32)]]]),
      trust: { identities: new Set(), issuers: [issuer] },
    }, () => new Date()),
    service: { deadlines: { helloMs: 5_000, requestMs: 10_000, activationMs: 10_000, outcomeMs: 60_000 } },
  });
  const kinds = Object.entries(HOSTILE_PEERS);
  const outcomes = Array.from({ length: HOSTILE }, (_, index) => {
    const [name, attack] = kinds[index % kinds.length] ?? assert.fail();
    return attack(cluster.port).then((ticket) => ({ name, ticket }), () => ({ name, ticket: undefined }));
  });
  const result = await nodes.begin({
    ...{ task: "join", clusterName: cluster.clusterName, operatorKey: base64(cluster.operator.spki) },
    endpoints: [{ host: "127.0.0.1", port: cluster.port }],
    ...{ nodes: NODES, concurrency: NODES, deadlineMs: DEADLINE_MS },
  });
  const { unfinished, endsMs } = await result();
  assert.equal(unfinished, 0);
  assert.equal(endsMs.length, NODES);
  assert.equal(new Set(cluster.signed).size, NODES);
  assert.equal(cluster.admissions.records.length, NODES);
  // The service ends each of these connections by itself.
  const gotTicket = (await Promise.all(outcomes)).filter(({ ticket }) => ticket !== undefined);
  assert.deepEqual(gotTicket, []);
});

Deno.test("a hundred waiting nodes notice a service when it starts, even if another host never answers", async () => {
  await using world = await World.create();
  const host = world.operatorAddress;
  // No host has that address, so connections to it get no answer, not even a refusal.
  const nowhere = { host: host.replace(/\.1$/, ".250"), port: 9444 };
  await using cluster = await TestCluster.create();
  const port = freePort(host);
  const seen = new Set<string>();
  const stop = new AbortController();
  const waiting = Array.from({ length: WAITING }, async (_, index) => {
    const self = { name: `worker-${index}`, address: "192.0.2.7", role: "worker" } as const;
    const search = new TicketSearch({
      endpoints: [nowhere, { host, port }],
      node: await newNode(cluster.trust, { self }),
      ...{ clock: systemClock, log: silentLog },
      onFailure: ({ endpoint, error }) => seen.add(`${index} ${endpoint} ${error.code}`),
    });
    return await search.run(stop.signal);
  });
  while (seen.size < 2 * WAITING) await Promise.race([systemClock.sleep(20), Promise.all(waiting)]);
  assert.ok(seen.has(`0 ${host}:${port} unavailable/connection`), [...seen].join());
  assert.ok(seen.has(`0 ${nowhere.host}:9444 timeout/connect`), "the test's own machinery");
  await using _late = await listenForJoins(cluster.service, { host, port });
  await Promise.all(waiting);
  assert.equal(new Set(cluster.signed).size, WAITING);
});

Deno.test("a request that is lost when its service is cut off is answered by another service", async () => {
  await using cluster = await TestCluster.create();
  await using middle = await cutOffMiddle(cluster.port);
  const port = freePort("127.0.0.1");
  const issued: string[] = [];
  const { issuer, ...node } = await newNode(cluster.trust);
  const search = new TicketSearch({
    endpoints: [middle.port, port].map((one) => ({ host: "127.0.0.1", port: one })),
    node: {
      ...node,
      issuer: {
        ...issuer,
        issue(statement) {
          // From here on no data gets through, and the peers are not told.
          if (issued.push("evidence") === 1) middle.cutOff();
          return issuer.issue(statement);
        },
      },
    },
    ...{ clock: systemClock, log: silentLog },
  });
  const ticket = search.run(AbortSignal.timeout(DEADLINE_MS));
  while (issued.length === 0) await Promise.race([systemClock.sleep(5), ticket]);
  await using _other = await listenForJoins(cluster.service, { host: "127.0.0.1", port });
  assert.deepEqual((await ticket).clusterId, cluster.clusterId);
  assert.equal(cluster.signed.length, 1);
});

function freePort(hostname: string): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
