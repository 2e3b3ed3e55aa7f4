import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import { LockFile } from "../nodelock/file.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { MachineFacts } from "./configuration_defaults.ts";
import { keepSelf, ownSelf, SELF_FILE } from "./own_self.ts";

const machine = (hostName: string, ...addresses: readonly string[]): MachineFacts => ({
  hostName,
  addresses: addresses.map((address) => ({ interface: "e0", address, length: 24 })),
  defaultRouteInterfaces: ["e0"],
});

async function withFolders(work: (paths: { readonly state: string; readonly kubelet: string }) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const paths = { state: join(folder, "state"), kubelet: join(folder, "kubelet") };
    await Deno.mkdir(paths.state);
    await work(paths);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const worker = { node: { role: "worker" } } as const;

Deno.test("ownSelf() finds a fresh node's name and address anew at each start", () =>
  withFolders(async (paths) => {
    await keepSelf(paths, { name: "old", address: "10.0.0.9" });
    const self = await ownSelf({ configuration: worker, machine: machine("node-1", "10.0.0.1"), paths });
    assert.deepEqual(self, { name: "node-1", address: "10.0.0.1", role: "worker" });
    await keepSelf(paths, self);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(join(paths.state, SELF_FILE))), {
      ...{ version: 1, name: "node-1", address: "10.0.0.1" },
    });
  }));

Deno.test("ownSelf() of a locked node keeps name and address when the machine's change, are doubled or are gone", () =>
  withFolders(async (paths) => {
    await keepSelf(paths, { name: "node-1", address: "10.0.0.1" });
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    await keepSelf(paths, { name: "other", address: "10.0.0.2" });
    const kept = { name: "node-1", address: "10.0.0.1", role: "worker" };
    const machines = [
      machine("localhost"),
      machine("new-name", "10.0.0.1"),
      machine("node-1", "10.0.0.1", "10.0.0.100"),
    ];
    for (const now of [...machines, machine("node-1", "10.0.0.7", "10.0.0.8")]) {
      assert.deepEqual(await ownSelf({ configuration: worker, machine: now, paths }), kept);
    }
  }));

Deno.test("ownSelf() of a locked node takes the address to which the machine has moved, and what is configured", () =>
  withFolders(async (paths) => {
    await keepSelf(paths, { name: "node-1", address: "10.0.0.1" });
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    const addressOf = async (node: { readonly address?: string; readonly addressFrom?: string }, ...of: string[]) =>
      (await ownSelf({ configuration: { node: { role: "worker", ...node } }, machine: machine("x", ...of), paths }))
        .address;
    assert.equal(await addressOf({}, "10.0.0.7"), "10.0.0.7");
    assert.equal(await addressOf({ address: "10.0.0.3" }, "10.0.0.1"), "10.0.0.3");
    assert.equal(await addressOf({ addressFrom: "10.1.0.0/16" }, "10.0.0.1", "10.1.0.1"), "10.1.0.1");
    assert.equal(await addressOf({ addressFrom: "10.1.0.0/16" }, "10.0.0.1"), "10.0.0.1");
  }));

Deno.test("ownSelf() has a second address only if the configuration asks for one, and keeps it when it is locked", () =>
  withFolders(async (paths) => {
    const both = { role: "worker", addressFrom: "10.0.0.0/24", secondAddressFrom: "fd00::/64" } as const;
    const selfOf = (node: NodeConfiguration["node"], ...of: string[]) =>
      ownSelf({ configuration: { node }, machine: machine("node-1", ...of), paths });
    assert.equal((await selfOf({ role: "worker" }, "10.0.0.1", "fd00::1")).secondAddress, undefined);
    await assert.rejects(selfOf(both, "10.0.0.1"), { code: "unavailable/address" });
    const self = await selfOf(both, "10.0.0.1", "fd00::1");
    assert.deepEqual(self, { name: "node-1", address: "10.0.0.1", secondAddress: "fd00::1", role: "worker" });
    await keepSelf(paths, self);
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    assert.deepEqual(await selfOf(both, "10.0.0.1", "fd00::1", "fd00::2"), self);
    assert.deepEqual(await selfOf(both), self);
    const explicit = { role: "worker", address: "10.0.0.3", secondAddress: "fd00::3" } as const;
    assert.deepEqual(await selfOf(explicit), { ...explicit, name: "node-1" });
  }));

Deno.test("ownSelf() of a node that an earlier version locked reads the kubelet's certificate", () =>
  withFolders(async (paths) => {
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    const now = new Date();
    const ca = await createCertificateAuthority(now);
    const own = { nodeName: "cp-1", addresses: ["fd00:77::11"], lifetimeMs: 3_600_000, epoch: 1 };
    await renewOwnCertificates({ ca, paths, now }, own);
    const self = await ownSelf({ configuration: worker, machine: machine("localhost"), paths });
    assert.deepEqual(self, { name: "cp-1", address: "fd00:77::11", role: "worker" });
  }));

Deno.test("ownSelf() names the file and the key when what was kept is of another form", () =>
  withFolders(async (paths) => {
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    const path = join(paths.state, SELF_FILE);
    const wrong = [
      "",
      "{}",
      '{"version":2,"name":"a","address":"10.0.0.1"}',
      '{"version":1,"name":"A","address":"10.0.0.1"}',
    ];
    for (const text of [...wrong, '{"version":1,"name":"a","address":"127.0.0.1"}']) {
      await Deno.writeTextFile(path, text);
      const reading = ownSelf({ configuration: worker, machine: machine("a", "10.0.0.1"), paths });
      await assert.rejects(reading, { code: "malformed/self" }, text);
      const { next } = asBootstrapError(await reading.catch((cause) => cause));
      assert.match(next, text.includes('"version":2') ? /^Use the newer program/ : /^Set node\.name .*remove/);
    }
  }));

Deno.test("ownSelf() reads an IPv4 address that is written as IPv6, as a member may have kept it", () =>
  withFolders(async (paths) => {
    await Deno.writeTextFile(new LockFile(paths.state).path, "locked");
    await keepSelf(paths, { name: "a", address: "::ffff:10.0.0.1" });
    const { address } = await ownSelf({ configuration: worker, machine: machine("a", "10.0.0.1"), paths });
    assert.equal(address, "::ffff:10.0.0.1");
  }));
