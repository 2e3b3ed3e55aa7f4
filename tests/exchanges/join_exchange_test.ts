import assert from "node:assert/strict";
import { ask, KUBELET_VERSION, newNode, TestCluster } from "./join_world.ts";

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
