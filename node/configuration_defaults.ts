/**
 * Defaults that a node's configuration takes from the machine: the node's name and address.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes, unreachableKind } from "../platform/ip_address.ts";
import { nodeNameProblem, reservedNameProblem } from "../platform/label.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { MachineAddresses } from "./own_address.ts";
import { findOwnAddress } from "./own_address.ts";

/** The machine's own name and addresses. */
export interface MachineFacts extends MachineAddresses {
  readonly hostName: string;
}

/**
 * Returns the node's name and address: the configured ones, or the machine's own.
 *
 * The machine's name is its host name in lower case, with its domain if it has one. The machine's address is that of
 * {@linkcode findOwnAddress}.
 *
 * @throws {BootstrapError} `usage/configuration` with the `key` to set, if the machine's name or address cannot be
 *   used; `unavailable/address` while the machine has no address.
 */
export function resolveNodeSelf({ node }: Pick<NodeConfiguration, "node">, machine: MachineFacts): NodeSelf {
  return {
    name: node.name ?? machineName(machine),
    address: node.address ?? machineAddress(machine, node.addressFrom),
    role: node.role,
  };
}

/**
 * The machine's host name as a node's name.
 *
 * @throws {BootstrapError} `usage/configuration`.
 */
export function machineName({ hostName }: Pick<MachineFacts, "hostName">): string {
  const name = hostName.toLowerCase();
  const problem = nodeNameProblem(name) ?? reservedNameProblem(name);
  if (problem === undefined) return name;
  throw unset("node.name", `the host name ${JSON.stringify(hostName)} cannot be the node's name: ${problem}`, {
    next: "Set node.name in the node's configuration, or give the machine another host name",
  });
}

/**
 * The machine's own address.
 *
 * @param from The network in which it must be, CIDR.
 * @throws {BootstrapError} `usage/configuration`, `unavailable/address`.
 */
export function machineAddress(machine: MachineFacts, from?: string): string {
  const found = findOwnAddress(machine, from);
  if (found.found === "one") return found.address;
  const where = from === undefined ? "" : ` in node.addressFrom ${from}`;
  if (found.found === "several") {
    throw unset("node.address", `it has several addresses${where}: ${found.addresses.join(", ")}`, {
      next:
        "Set node.addressFrom in the node's configuration to the network of the nodes, or node.address to one of them",
    });
  }
  const others = found.others.length === 0
    ? ""
    : `; ${found.others.join(", ")} on a bridge or tunnel is taken only if node.address or node.addressFrom says so`;
  throw new BootstrapError(
    "unavailable/address",
    `The machine has no address${where} yet that other nodes can reach${others}`,
    {
      next: "Wait for the network, or set node.address or node.addressFrom in the node's configuration",
      details: { key: "node.address" },
    },
  );
}

/**
 * What a person should know of an address that was taken from the machine: that it has others, which may be meant.
 *
 * @returns Sentences without a full stop.
 */
export function addressRemarks(
  { node }: Pick<NodeConfiguration, "node">,
  machine: MachineAddresses,
  address: string,
): readonly string[] {
  if (node.address !== undefined || node.addressFrom !== undefined) return [];
  const bytes = addressBytes(address);
  const others = machine.addresses.filter((entry) => {
    const other = addressBytes(entry.address);
    return other !== undefined && other.length === bytes?.length && other.toString() !== bytes.toString() &&
      unreachableKind(other) === undefined && entry.isTransient !== true;
  });
  if (others.length === 0) return [];
  const list = others.map((entry) => `${entry.address} on ${entry.interface}`).join(", ");
  return [
    `Other nodes are to reach this one by ${address}; the machine also has ${list}. node.addressFrom in the node's configuration chooses`,
  ];
}

function unset(key: string, reason: string, { next }: { readonly next: string }): BootstrapError {
  return new BootstrapError("usage/configuration", `Cannot complete the configuration from the machine: ${reason}`, {
    next,
    details: { key },
  });
}
