import assert from "node:assert/strict";
import { createFounding } from "../../../protocol/founding.ts";
import { createCertificateAuthority, issueServiceCertificate } from "../../../certificate/ca.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { join } from "node:path";
import { generateKeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import type { ServiceState } from "../../../service/service_state.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BOOTSTRAPPER } from "../node/run_process.ts";

const CLUSTER_NAME = "production";
/** A hard limit: `deno run` raises a soft limit by itself, which the compiled binary does not. */
const MAXIMUM_FILES = 256;
const PEERS = 400;
const DEADLINE_MS = 120_000;
const POLL_MS = 50;

Deno.test("join-service front ends, so that systemd restarts it, when peers hold its last file descriptor and it can accept no connection", async () => {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  // As systemd hands them to the unit.
  const credentials = await Deno.makeTempDir();
  const state = await serviceState(port, credentials);
  await writeServiceState(folder, state);
  await Deno.writeTextFile(join(credentials, "service.key"), await privateKeyPem(state.keys));
  const command = [
    ...BOOTSTRAPPER,
    "join-service",
    "front",
    "--folder",
    folder,
    "--socket",
    `${folder}/none.sock`,
    "--dialer",
    `${folder}/etcd.sock`,
  ];
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const ended = new Deno.Command("sh", {
    args: ["-uc", `ulimit -n ${MAXIMUM_FILES} && exec "$@"`, "sh", ...command],
    env: { CREDENTIALS_DIRECTORY: credentials },
    stdout: "null",
    stderr: "piped",
    signal: deadline,
  }).output();
  await waitForService(port, deadline);
  const peers: Deno.Conn[] = [];
  for (let index = 0; index < PEERS; index++) peers.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  const { code, stderr } = await ended;
  for (const peer of peers) peer.close();
  assert.ok(!deadline.aborted, "it runs, and accepts no connection");
  const said = new TextDecoder().decode(stderr);
  assert.match(said, /no longer accepts connections/);
  assert.equal(code, 1, said);
  for (const one of [folder, credentials]) await Deno.remove(one, { recursive: true });
});

async function waitForService(port: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await systemClock.sleep(POLL_MS, signal);
    }
  }
}

/** The state of a join service whose API server does not run. */
async function serviceState(port: number, credentials: string): Promise<ServiceState> {
  const operator = await generateKeyPair("ed25519");
  const ca = await createCertificateAuthority(new Date());
  const clusterId = await clusterIdOf(ca.certificate);
  const keys = await generateKeyPair("p-256");
  await Deno.writeTextFile(join(credentials, "ca.key"), await privateKeyPem(ca.keys));
  const listen = `127.0.0.1:${port}`;
  const api = `127.0.0.1:${freePort()}`;
  return {
    keys,
    certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, new Date())).der,
    caCertificate: ca.certificate.der,
    foundings: [await createFounding(operator, clusterId, CLUSTER_NAME)],
    trust: { clusterName: CLUSTER_NAME, clusterId, operatorKeys: [operator.spki] },
    policyDocument: "version: 1\nvariant: none\n",
    clusterDocument: "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}",
    listen,
    apiServer: `https://${api}`,
    apiEndpoints: [api],
    joinEndpoints: [listen],
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
