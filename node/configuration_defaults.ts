/**
 * Defaults that a node's configuration takes from the machine: the node's name and address.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes, unreachableKind } from "../platform/ip_address.ts";
import { nodeNameProblem, reservedNameProblem } from "../platform/label.ts";
import { present } from "../platform/present.ts";
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
 * Both errors are retriable: the system may set another host name later, and an interface may have two addresses for a
 * moment.
 *
 * @throws {BootstrapError} `unavailable/host-name` while the machine's name cannot be used, `unavailable/address` while
 *   it has no address, or several. Both have the `key` to set in their details.
 */
export function resolveNodeSelf({ node }: Pick<NodeConfiguration, "node">, machine: MachineFacts): NodeSelf {
  return {
    name: node.name ?? machineName(machine),
    address: node.address ?? machineAddress(machine, node.addressFrom),
    ...present(
      "secondAddress",
      node.secondAddress ??
        (node.secondAddressFrom === undefined ? undefined : machineAddress(machine, node.secondAddressFrom)),
    ),
    role: node.role,
  };
}

/**
 * The machine's host name as a node's name.
 *
 * @throws {BootstrapError} `unavailable/host-name`.
 */
export function machineName({ hostName }: Pick<MachineFacts, "hostName">): string {
  const name = hostName.toLowerCase();
  const problem = nodeNameProblem(name) ?? reservedNameProblem(name);
  if (problem === undefined) return name;
  throw new BootstrapError(
    "unavailable/host-name",
    `The host name ${JSON.stringify(hostName)} cannot be the node's name: ${problem}`,
    {
      next: "Set node.name in the node's configuration, or give the machine another host name",
      details: { key: "node.name" },
    },
  );
}

/**
 * The machine's own address.
 *
 * @param from The network in which it must be, CIDR.
 * @throws {BootstrapError} `unavailable/address`.
 */
export function machineAddress(machine: MachineFacts, from?: string): string {
  const found = findOwnAddress(machine, from);
  if (found.found === "one") return found.address;
  const where = from === undefined ? "" : ` in node.addressFrom ${from}`;
  if (found.found === "several") {
    throw new BootstrapError(
      "unavailable/address",
      `The machine has several addresses${where}, and none is better than the others: ${found.addresses.join(", ")}`,
      {
        next:
          "Set node.addressFrom in the node's configuration to the network of the nodes, or node.address to one of them",
        details: { key: "node.address" },
      },
    );
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
