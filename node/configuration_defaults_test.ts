import { TPM_SETTINGS } from "../attestation/testing/trust.ts";
import { TPM } from "../attestation/kinds/tpm/kind.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeConfiguration } from "./configuration.ts";
import type { MachineFacts } from "./configuration_defaults.ts";
import { addressRemarks, resolveNodeSelf } from "./configuration_defaults.ts";
import { defaultRouteInterfaces, transientAddresses } from "./default_routes.ts";
import { nodeNetworks } from "./own_address.ts";

const configuration: NodeConfiguration = {
  trust: { clusterName: "demo", clusterId: new Uint8Array(0), operatorKeys: [], ...TPM_SETTINGS },
  node: { role: "worker" },
  evidence: { kinds: [TPM], ekType: "rsa2048" },
  init: { enabled: true },
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
  const named = (hostName: string) =>
    resolveNodeSelf(configuration, { ...machine([["eth0", "10.0.0.1"]]), hostName }).name;
  assert.equal(named("Node-1.Example.internal"), "node-1.example.internal");
  for (const wrong of ["localhost", "localhost.localdomain", "node_1", "", "a".repeat(64), "10.0.0.1"]) {
    assert.throws(() => named(wrong), { code: "unavailable/host-name", retriable: true }, wrong);
  }
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
  assert.throws(() => addressOf(several), {
    code: "unavailable/address",
    retriable: true,
    message: /several addresses.*: 10\.0\.0\.1, 10/,
  });
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

/** A machine with addresses in CIDR notation. */
function networked(addresses: readonly (readonly [string, string])[], routes: readonly string[] = []): MachineFacts {
  return {
    hostName: "node-1",
    addresses: addresses.map(([name, cidr]) => {
      const [address = "", length] = cidr.split("/");
      return { interface: name, address, length: Number(length) };
    }),
    defaultRouteInterfaces: routes,
  };
}

Deno.test("resolveNodeSelf() takes no address that floats between machines, whichever comes first", () => {
  for (const addresses of [["10.77.0.11/24", "10.77.0.100/32"], ["10.77.0.100/32", "10.77.0.11/24"]]) {
    assert.equal(addressOf(networked(addresses.map((cidr) => ["e0", cidr]), ["e0"])), "10.77.0.11");
  }
  const ipv6 = networked([["e0", "fd00:77::dead:beef/128"], ["e0", "fd00:77::11/64"]], ["e0"]);
  assert.equal(addressOf(ipv6), "fd00:77::11");
  // Some clouds give a machine nothing but an address of a single host.
  assert.equal(addressOf(networked([["ens4", "10.128.0.2/32"]], ["ens4"])), "10.128.0.2");
});

Deno.test("resolveNodeSelf() takes no address of a bridge or a tunnel that no default route leads to", () => {
  const docker = [["docker0", "172.17.0.1/16"]] as const;
  for (const name of ["antrea-gw0", "ovn-k8s-mp0", "incusbr0"]) {
    assert.equal(addressOf(networked([[name, "10.244.0.1/24"], ["eth0", "10.0.0.1/24"]])), "10.0.0.1", name);
  }
  assert.equal(addressOf(networked([...docker, ["eth0", "fd00:77::11/64"]], ["eth0"])), "fd00:77::11");
  assert.equal(addressOf(networked([...docker, ["eth0", "10.0.0.1/24"]])), "10.0.0.1");
  assert.throws(() => addressOf(networked(docker)), {
    code: "unavailable/address",
    message: /172\.17\.0\.1 on a bridge/,
  });
  assert.equal(addressOf(networked([["br-lan", "10.0.0.1/24"]], ["br-lan"])), "10.0.0.1");
});

Deno.test("resolveNodeSelf() takes the address in node.addressFrom, wherever the default route leads", () => {
  const nat = networked([["e0", "10.0.2.15/24"], ["e1", "192.168.56.11/24"]], ["e0"]);
  const from = (addressFrom: string, facts = nat) =>
    resolveNodeSelf({ ...configuration, node: { role: "worker", addressFrom } }, facts).address;
  assert.equal(from("192.168.56.0/24"), "192.168.56.11");
  assert.equal(from("10.0.0.0/8"), "10.0.2.15");
  assert.throws(() => from("172.16.0.0/12"), { code: "unavailable/address", retriable: true });
  const two = networked([["e0", "10.0.2.15/24"], ["e1", "10.0.3.15/24"]], ["e0"]);
  assert.throws(() => from("10.0.0.0/16", two), { code: "unavailable/address", message: /10\.0\.2\.15, 10\.0\.3\.15/ });
});

Deno.test("resolveNodeSelf() takes no address that comes and goes", () => {
  const facts = networked([["e0", "fd00:77::11/64"], ["e0", "fd00:77::aaaa/64"]], ["e0"]);
  const addresses = facts.addresses.map((entry, index) => index === 1 ? { ...entry, isTransient: true } : entry);
  assert.throws(() => addressOf(facts), { code: "unavailable/address", message: /several/ });
  assert.equal(addressOf({ ...facts, addresses }), "fd00:77::11");
});

Deno.test("addressRemarks() names the addresses that the machine has as well, unless the configuration chooses", () => {
  const nat = networked([["lo", "127.0.0.1/8"], ["e0", "10.0.2.15/24"], ["e1", "192.168.56.11/24"]], ["e0"]);
  assert.match(addressRemarks(configuration, nat, "10.0.2.15")[0] ?? "", /192\.168\.56\.11 on e1/);
  const chosen = { node: { role: "worker", addressFrom: "10.0.0.0/8" } } as const;
  assert.deepEqual(addressRemarks(chosen, nat, "10.0.2.15"), []);
  assert.deepEqual(addressRemarks(configuration, networked([["e0", "10.0.2.15/24"]], ["e0"]), "10.0.2.15"), []);
});

Deno.test("defaultRouteInterfaces() puts tunnels behind gateways and IPv6 behind IPv4, and leaves out rejecting routes", () => {
  const ipv4 = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "e1\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0",
    "e0\t00000000\t01004D0A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
  ].join("\n");
  const zeros = "0".repeat(32);
  const gateway = "fd000077000000000000000000000001";
  const ipv6 = [
    `${zeros} 00 ${zeros} 00 ${gateway} 00000400 00000003 00000000 00000003       e2`,
    `fd000077000000000000000000000000 40 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001       e3`,
    `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo`,
  ].join("\n");
  assert.deepEqual(defaultRouteInterfaces(ipv4, ipv6), ["e0", "e2", "e1"]);
  assert.deepEqual(defaultRouteInterfaces("", ipv6), ["e2"]);
  fc.assert(fc.property(fc.string(), fc.string(), (one, other) => {
    assert.ok(Array.isArray(defaultRouteInterfaces(one, other)));
  }));
});

Deno.test("transientAddresses() reads the kernel's flags of IPv6 addresses", () => {
  const table = [
    "fd000077000000000000000000000011 02 40 00 80     e0",
    "fd00007700000000000000000000aaaa 02 40 00 01     e0",
    "fd00007700000000000000000000bbbb 02 40 00 60     e0",
  ].join("\n");
  assert.deepEqual([...transientAddresses(table)], [
    "fd00007700000000000000000000aaaa",
    "fd00007700000000000000000000bbbb",
  ]);
  fc.assert(fc.property(fc.string(), (text) => assert.equal(transientAddresses(text).size, 0)));
});

Deno.test("nodeNetworks() names the networks of the interface that has the node's address", () => {
  const facts = networked([
    ["lo", "127.0.0.1/8"],
    ["e0", "10.0.2.15/24"],
    ["e0", "10.0.2.100/32"],
    ["e0", "fd00:77::11/64"],
    ["e1", "10.1.0.1/24"],
    ["antrea-gw0", "10.244.0.1/24"],
  ]);
  assert.deepEqual(nodeNetworks(facts, "10.0.2.15"), ["10.0.2.15/24", "fd00:77::11/64"]);
  assert.deepEqual(nodeNetworks(facts, "10.9.9.9"), []);
});
