/**
 * Defaults that a node's configuration takes from the machine: the node's name and address.
 *
 * @module
 */
import { isIP } from "node:net";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import { isLabel } from "../platform/label.ts";
import { isReachableAddress } from "./configuration_schema.ts";

/** The machine's own name and addresses. */
export interface MachineFacts {
  readonly hostName: string;
  /** The addresses of the machine's network interfaces. */
  readonly addresses: readonly { readonly interface: string; readonly address: string }[];
  /** The interfaces of the machine's default routes, best first; see {@linkcode defaultRouteInterfaces}. */
  readonly defaultRouteInterfaces: readonly string[];
}

const ROUTE_UP = 0x1;

/**
 * The interfaces of the default routes in `/proc/net/route`, lowest metric first.
 *
 * @param table The content of the file: a header line, then one line per route with the fields Iface, Destination,
 *   Gateway, Flags, RefCnt, Use, Metric, Mask, …. Addresses and flags are hexadecimal (Linux, `fib_route_seq_show()`).
 */
export function defaultRouteInterfaces(table: string): readonly string[] {
  return table.split("\n").slice(1).map((line) => line.trim().split(/\s+/)).flatMap((fields) => {
    const [name = "", destination, , flags = "", , , metric = "", mask] = fields;
    const isDefault = destination === "00000000" && mask === "00000000" && (parseInt(flags, 16) & ROUTE_UP) !== 0;
    return isDefault ? [{ name, metric: Number(metric) }] : [];
  }).sort((a, b) => a.metric - b.metric).map(({ name }) => name);
}

/**
 * Returns the node's name and address: the configured ones, or the machine's own.
 *
 * The machine's name is its host name in lower case. The machine's address is the only reachable one on the interface
 * of the best default route (IPv4 before IPv6). If that interface has none, it is the only reachable address of the
 * machine.
 *
 * @throws {BootstrapError} `usage/configuration` with the `key` to set, if the machine's name or address cannot be
 *   used; `unavailable/address` while the machine has no address.
 */
export function resolveNodeSelf(configuration: NodeConfiguration, machine: MachineFacts): NodeSelf {
  const { name, address, role } = configuration.node;
  return { name: name ?? nameOf(machine), address: address ?? addressOf(machine), role };
}

function nameOf({ hostName }: MachineFacts): string {
  const name = hostName.toLowerCase();
  if (isLabel(name)) return name;
  throw unset("node.name", `the host name ${JSON.stringify(hostName)} is not an RFC 1123 label`);
}

function addressOf({ addresses, defaultRouteInterfaces: [best] }: MachineFacts): string {
  const reachable = addresses.filter(({ address }) => isReachableAddress(address));
  for (const candidates of [reachable.filter((entry) => entry.interface === best), reachable]) {
    for (const version of [4, 6]) {
      const found = candidates.filter(({ address }) => isIP(address) === version);
      const [only] = found;
      if (found.length === 1 && only !== undefined) return only.address;
      if (found.length > 1) {
        throw unset("node.address", `it has several addresses: ${found.map(({ address }) => address).join(", ")}`);
      }
    }
  }
  throw new BootstrapError("unavailable/address", "The machine has no address yet that other nodes can reach", {
    next: "Wait for the network, or set node.address in the node's configuration",
    details: { key: "node.address" },
  });
}

function unset(key: string, reason: string): BootstrapError {
  return new BootstrapError("usage/configuration", `Cannot complete the configuration from the machine: ${reason}`, {
    next: `Set ${key} in the node's configuration`,
    details: { key },
  });
}
