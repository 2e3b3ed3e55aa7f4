/**
 * What a node's configuration leaves to the machine: the node's name and its address.
 *
 * @module
 */
import { isIP } from "node:net";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import { isLabel } from "../platform/label.ts";
import { isReachableAddress } from "./configuration_schema.ts";

/** What the machine says of itself. */
export interface MachineFacts {
  /** Its host name. */
  readonly hostName: string;
  /** The addresses of its network interfaces. */
  readonly addresses: readonly { readonly interface: string; readonly address: string }[];
  /** The interfaces of its default routes, best first; see {@linkcode defaultRouteInterfaces}. */
  readonly defaultRouteInterfaces: readonly string[];
}

const ROUTE_UP = 0x1;

/**
 * The interfaces of the default routes in `/proc/net/route`, lowest metric first.
 *
 * @param table The file: a head line, then one line a route: Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask,
 *   …, numbers of addresses and flags in hexadecimal (Linux, `fib_route_seq_show()`).
 */
export function defaultRouteInterfaces(table: string): readonly string[] {
  return table.split("\n").slice(1).map((line) => line.trim().split(/\s+/)).flatMap((fields) => {
    const [name = "", destination, , flags = "", , , metric = "", mask] = fields;
    const isDefault = destination === "00000000" && mask === "00000000" && (parseInt(flags, 16) & ROUTE_UP) !== 0;
    return isDefault ? [{ name, metric: Number(metric) }] : [];
  }).sort((a, b) => a.metric - b.metric).map(({ name }) => name);
}

/**
 * The node's name and address: as configured, otherwise the machine's own.
 *
 * The name is the host name in lower case. The address is the only one on the interface of the best default route (IPv4
 * before IPv6), or else the only one of the machine that others may reach.
 *
 * @throws {BootstrapError} `usage/configuration` with the `key` that must be set where the machine's own does not do;
 *   `unavailable/address` while the machine has none.
 */
export function resolveNodeSelf(configuration: NodeConfiguration, machine: MachineFacts): NodeSelf {
  const { name, address, role } = configuration.node;
  return { name: name ?? nameOf(machine), address: address ?? addressOf(machine), role };
}

function nameOf({ hostName }: MachineFacts): string {
  const name = hostName.toLowerCase();
  if (isLabel(name)) return name;
  throw unset("node.name", `the host name ${JSON.stringify(hostName)} is no RFC 1123 label`);
}

function addressOf({ addresses, defaultRouteInterfaces: [best] }: MachineFacts): string {
  const reachable = addresses.filter(({ address }) => isReachableAddress(address));
  for (const candidates of [reachable.filter((entry) => entry.interface === best), reachable]) {
    for (const version of [4, 6]) {
      const found = candidates.filter(({ address }) => isIP(address) === version);
      const [only] = found;
      if (found.length === 1 && only !== undefined) return only.address;
      if (found.length > 1) {
        throw unset("node.address", `the machine has several: ${found.map(({ address }) => address).join(", ")}`);
      }
    }
  }
  throw new BootstrapError("unavailable/address", "The machine has no address yet that other nodes can reach", {
    next: "Wait for the network, or set node.address in the node's configuration",
    details: { key: "node.address" },
  });
}

function unset(key: string, reason: string): BootstrapError {
  return new BootstrapError("usage/configuration", `Cannot find out what the configuration leaves open: ${reason}`, {
    next: `Set ${key} in the node's configuration`,
    details: { key },
  });
}
