/**
 * The address of this machine by which other nodes reach it, among all that its interfaces have.
 *
 * @module
 */
import type { AddressFamily } from "../platform/ip_address.ts";
import { addressBytes, addressText, familyOf, isInNetwork, unreachableKind } from "../platform/ip_address.ts";

/** An address of one of the machine's interfaces. */
export interface InterfaceAddress {
  readonly interface: string;
  readonly address: string;
  /** The length of its network's prefix; absent if it is not known. */
  readonly length?: number;
  /** Whether the address comes and goes: a privacy address, or one that is not in use yet or any more. */
  readonly isTransient?: boolean;
}

/** The machine's addresses and routes. */
export interface MachineAddresses {
  /** The addresses of the machine's network interfaces. */
  readonly addresses: readonly InterfaceAddress[];
  /** The interfaces of the machine's default routes, best first; see {@linkcode defaultRouteInterfaces}. */
  readonly defaultRouteInterfaces: readonly string[];
}

/** What was found. */
export type FoundAddress =
  | { readonly found: "one"; readonly address: string; readonly interface: string }
  /** Several are as good as each other. */
  | { readonly found: "several"; readonly addresses: readonly string[] }
  /** There is none yet. `others` are addresses that are not taken without being asked for. */
  | { readonly found: "nothing"; readonly others: readonly string[] };

const RESERVED_BITS: Readonly<Record<AddressFamily, number>> = { 4: 32, 6: 128 };
/**
 * Interfaces of container runtimes, network plugins, hypervisors and tunnels. An address on one of them is taken only if
 * a default route leads there, or the configuration names it.
 */
const VIRTUAL =
  /^(?:docker|br-|cni|veth|virbr|lxc|lxd|incus|cali|flannel|cilium|weave|antrea|ovn-|kube-|podman|vxlan|genev|dummy|nodelocaldns|tun|tap|wg|tailscale|zt|ppp|ipip|sit|gre)/;

interface Candidate extends InterfaceAddress {
  readonly bytes: Uint8Array;
}

/**
 * Finds the machine's own address: the one on the interface of the best default route, IPv4 before IPv6. If there is no
 * default route, it is the only reachable address of the machine's other interfaces.
 *
 * Addresses that float between machines are not taken: one of a single host (`/32`, `/128`), where the same interface
 * has one with a network.
 *
 * @param from The network in which the address must be, CIDR.
 */
export function findOwnAddress(machine: MachineAddresses, from?: string): FoundAddress {
  const reachable = steady(machine.addresses.flatMap((entry) => {
    const bytes = addressBytes(entry.address);
    return bytes === undefined || unreachableKind(bytes) !== undefined || entry.isTransient === true
      ? []
      : [{ ...entry, bytes }];
  }));
  if (from !== undefined) return oneOf(reachable.filter(({ bytes }) => isInNetwork(bytes, from)), []);
  for (const name of machine.defaultRouteInterfaces) {
    const ofInterface = preferred(reachable.filter((entry) => entry.interface === name));
    if (ofInterface.length > 0) return oneOf(ofInterface, []);
  }
  const isVirtual = (entry: Candidate) => VIRTUAL.test(entry.interface);
  return oneOf(preferred(reachable.filter((entry) => !isVirtual(entry))), reachable.filter(isVirtual));
}

/**
 * The networks of the interface that has the node's address, CIDR: other machines are in them.
 *
 * @param own The node's address.
 */
export function nodeNetworks({ addresses }: MachineAddresses, own: string): readonly string[] {
  const ownText = addressBytes(own)?.toString();
  const interfaces = addresses.filter(({ address }) => addressBytes(address)?.toString() === ownText)
    .map((entry) => entry.interface);
  const networks = addresses.flatMap(({ interface: name, address, length }) => {
    const bytes = addressBytes(address);
    if (bytes === undefined || length === undefined || unreachableKind(bytes) !== undefined) return [];
    if (!interfaces.includes(name)) return [];
    return length === 0 || length >= RESERVED_BITS[familyOf(bytes)] ? [] : [`${addressText(bytes)}/${length}`];
  });
  return [...new Set(networks)];
}

/** Leaves out addresses of a single host, where the same interface has others of that family. */
function steady(entries: readonly Candidate[]): Candidate[] {
  const isSingle = ({ bytes, length }: Candidate) => length === RESERVED_BITS[familyOf(bytes)];
  return entries.filter((entry) =>
    !isSingle(entry) ||
    !entries.some((other) =>
      other.interface === entry.interface && other.bytes.length === entry.bytes.length && !isSingle(other)
    )
  );
}

/** The addresses of the better family: IPv4, if there are any. */
function preferred(entries: readonly Candidate[]): readonly Candidate[] {
  const ipv4 = entries.filter(({ bytes }) => familyOf(bytes) === 4);
  return ipv4.length > 0 ? ipv4 : entries;
}

function oneOf(entries: readonly Candidate[], others: readonly Candidate[]): FoundAddress {
  const texts = (list: readonly Candidate[]) =>
    [...new Map(list.map((entry) => [entry.bytes.toString(), entry])).values()].map(({ address }) => address);
  const addresses = texts(entries);
  const [only] = entries;
  if (only === undefined) return { found: "nothing", others: texts(others) };
  if (addresses.length === 1) return { found: "one", address: only.address, interface: only.interface };
  return { found: "several", addresses };
}
