import assert from "node:assert/strict";
import fc from "fast-check";
import { activePeers, readActivePeers } from "./etcd_peers.ts";

const METRICS = `# HELP etcd_network_active_peers The current number of active peer connections.
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="1a2b"} 1
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="fd422379fda50e48"} 0
etcd_network_client_grpc_received_bytes_total 4242
`;

Deno.test("readActivePeers() gives the connected members, with the zeros that etcd leaves out", () => {
  assert.deepEqual([...readActivePeers(METRICS)], ["0000000000001a2b"]);
});

Deno.test("readActivePeers() gives nothing but IDs, whatever the text is", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    for (const id of readActivePeers(`${METRICS}${text}`)) assert.match(id, /^[0-9a-f]{16}$/);
  }));
});

Deno.test("activePeers() says where it looked when etcd does not answer", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ url }) => url.endsWith("/metrics") ? new Response(METRICS) : new Response("", { status: 404 }),
  );
  const at = `http://127.0.0.1:${server.addr.port}`;
  assert.equal((await activePeers(`${at}/metrics`)).size, 1);
  await assert.rejects(activePeers(`${at}/other`), { code: "unavailable/etcd" });
  await server.shutdown();
  await assert.rejects(activePeers(`${at}/metrics`), { code: "unavailable/etcd" });
});
