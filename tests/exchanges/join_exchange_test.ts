import assert from "node:assert/strict";
import { FrontProcess } from "../../channel/testing/front_process.ts";
import { concat } from "../../platform/bytes.ts";
import { RefusalLog } from "../../platform/refusal_log.ts";
import { JoinClientMessage } from "../../proto/gen/bootstrapper.ts";
import { JOIN_SERVICE_NUMBER, MAXIMUM_MESSAGE_LENGTH } from "../../service/front.ts";
import { ask, KUBELET_VERSION, newNode, TestCluster } from "./join_world.ts";

/** Makes a message of almost the largest size. */
const PADDING_BYTES = MAXIMUM_MESSAGE_LENGTH - 64;

Deno.test("a node gets a ticket for its name and key, and the service admits it before it signs", async () => {
  await using cluster = await TestCluster.create();
  const node = await newNode(cluster.trust);
  const ticket = await ask(cluster.port, node);
  assert.deepEqual(ticket.clientCertificate.spki, node.keys.node.spki);
  assert.deepEqual(ticket.servingCertificate.spki, node.keys.serving.spki);
  assert.deepEqual(ticket.clusterId, cluster.clusterId);
  assert.deepEqual(ticket.apiEndpoints, ["127.0.0.1:6443"]);
  assert.equal(ticket.settings.kubernetesVersion, KUBELET_VERSION);
  assert.deepEqual([cluster.signed, cluster.signedServing], [["worker-1"], ["worker-1"]]);
  assert.equal(cluster.admissions.records[0]?.nodeName, "worker-1");
  assert.deepEqual(cluster.admissions.records[0]?.addresses, ["192.0.2.7"]);
});

Deno.test("a thousand large hellos of one address are refused unread, and keep no node out", async () => {
  await using cluster = await TestCluster.create({ service: { refusals: new RefusalLog() } });
  const hello = { message: { $case: "hello", hello: { clientNonce: new Uint8Array(32) } } } as const;
  // A field that readers skip: number 15, of a length in three bytes.
  const padding = Uint8Array.of(
    0x7a,
    0x80 | PADDING_BYTES & 0x7f,
    0x80 | PADDING_BYTES >> 7 & 0x7f,
    PADDING_BYTES >> 14,
  );
  const encoded = concat(JoinClientMessage.encode(hello).finish(), padding, new Uint8Array(PADDING_BYTES));
  const fronts: FrontProcess[] = [];
  try {
    for (let index = 0; index < 1024; index++) {
      const claimed = { service: JOIN_SERVICE_NUMBER, binding: new Uint8Array(32), peer: `192.0.2.1:${index + 1}` };
      fronts.push(await FrontProcess.exchange(cluster.socket, claimed));
    }
    const refused = await Promise.all(fronts.map(async (front) => {
      await front.frame("await");
      await front.say(encoded).catch(() => {});
      return (await front.frame("refused"))?.text;
    }));
    assert.deepEqual([...new Set(refused)], ["protocol/message-size"]);
    assert.ok(await ask(cluster.port, await newNode(cluster.trust)));
  } finally {
    for (const front of fronts) front[Symbol.dispose]();
  }
  assert.ok(cluster.events.length < 10, "each hello is an entry in the log");
});
