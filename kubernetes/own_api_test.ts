import assert from "node:assert/strict";
import { kubeconfig } from "./kubeconfig.ts";
import { adminKubeconfig, ownApiCredentials } from "./own_api.ts";

const PEM = {
  caPem: "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n",
  certificatePem: "-----BEGIN CERTIFICATE-----\nQURNSU4=\n-----END CERTIFICATE-----\n",
  keyPem: "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n",
};

Deno.test("ownApiCredentials() uses the machine's own API server when the kubeconfig names another", async () => {
  const folder = await Deno.makeTempDir();
  const server = "https://balancer.example:6443";
  await Deno.writeTextFile(
    adminKubeconfig(folder),
    kubeconfig({ ...PEM, server, clusterName: "demo", userName: "admin" }),
  );
  for (const [address, own] of [["192.0.2.1", "192.0.2.1:6443"], ["fd00::1", "[fd00::1]:6443"]] as const) {
    assert.deepEqual(await ownApiCredentials(folder, { address }), { ...PEM, server: `https://${own}` });
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ownApiCredentials() fails when there is no kubeconfig", async () => {
  await assert.rejects(ownApiCredentials("/nonexistent", { address: "192.0.2.1" }), { code: "system/file" });
});
