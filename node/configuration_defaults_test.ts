import { TPM_SETTINGS } from "../attestation/testing/trust.ts";
import { TPM } from "../attestation/kinds/tpm/kind.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeConfiguration } from "./configuration.ts";
import type { MachineFacts } from "./configuration_defaults.ts";
import { defaultRouteInterfaces, resolveNodeSelf } from "./configuration_defaults.ts";

const configuration: NodeConfiguration = {
  trust: { clusterName: "demo", clusterId: new Uint8Array(0), operatorKeys: [], ...TPM_SETTINGS },
  node: { role: "worker" },
  evidence: { kinds: [TPM], ekType: "rsa2048" },
  init: { enabled: true, listen: { host: "0.0.0.0", port: 9443 } },
  join: { endpoints: [] },
  allowUnmeasuredImage: false,
};

function machine(addresses: readonly (readonly [string, string])[], routes: readonly string[] = []): MachineFacts {
  return {
    hostName: "Node-1",
    addresses: addresses.map(([name, address]) => ({ interface: name, address })),
    defaultRouteInterfaces: routes,
  };
}

const addressOf = (facts: MachineFacts) => resolveNodeSelf(configuration, facts).address;

Deno.test("resolveNodeSelf() takes the configured name and address when there are any", () => {
  const node = { name: "one", address: "10.0.0.9", role: "control-plane" } as const;
  assert.deepEqual(resolveNodeSelf({ ...configuration, node }, machine([])), node);
});

Deno.test("resolveNodeSelf() takes the host name in lower case when no name is configured", () => {
  assert.equal(resolveNodeSelf(configuration, machine([["eth0", "10.0.0.1"]])).name, "node-1");
  const facts = { ...machine([["eth0", "10.0.0.1"]]), hostName: "node-1.example" };
  assert.throws(() => resolveNodeSelf(configuration, facts), {
    code: "usage/configuration",
    details: { key: "node.name" },
  });
});

Deno.test("resolveNodeSelf() takes the address of the default route when there are several interfaces", () => {
  const addresses = [["lo", "127.0.0.1"], ["lo", "::1"], ["eth0", "10.0.0.1"], ["eth0", "fe80::1"], [
    "cni0",
    "10.244.0.1",
  ]] as const;
  assert.equal(addressOf(machine(addresses, ["eth0", "cni0"])), "10.0.0.1");
  assert.equal(addressOf(machine(addresses, ["cni0"])), "10.244.0.1");
});

Deno.test("resolveNodeSelf() takes the only address that others reach when there is no default route", () => {
  assert.equal(addressOf(machine([["lo", "127.0.0.1"], ["eth0", "169.254.3.4"], ["eth1", "10.0.0.1"]])), "10.0.0.1");
  assert.equal(addressOf(machine([["eth0", "fe80::1"], ["eth0", "fd00::2"]])), "fd00::2");
  assert.equal(addressOf(machine([["eth0", "fd00::2"], ["eth0", "10.0.0.1"]], ["eth0"])), "10.0.0.1");
});

Deno.test("resolveNodeSelf() asks for the address when the machine has several", () => {
  const several = machine([["eth0", "10.0.0.1"], ["eth0", "10.0.0.2"]], ["eth0"]);
  assert.throws(() => addressOf(several), { code: "usage/configuration", details: { key: "node.address" } });
});

Deno.test("resolveNodeSelf() throws a retriable error when the machine has no address yet", () => {
  assert.throws(() => addressOf(machine([["lo", "127.0.0.1"]])), { code: "unavailable/address", retriable: true });
});

Deno.test("defaultRouteInterfaces() orders interfaces by metric when the kernel has several default routes", () => {
  const table = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0 ",
    "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0 ",
    "eth2\t00000000\t0100000A\t0000\t0\t0\t1\t00000000\t0\t0\t0 ",
    "eth3\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0 ",
    "eth4\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0 ",
    "",
  ].join("\n");
  assert.deepEqual(defaultRouteInterfaces(table), ["eth0", "eth1"]);
  assert.deepEqual(defaultRouteInterfaces(""), []);
  fc.assert(fc.property(fc.string(), (text) => assert.ok(Array.isArray(defaultRouteInterfaces(text)))));
});
