/**
 * IP addresses as bytes. Each address has a single byte form, however its text is written.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { hex } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { hasVariable, shown, variableProblem } from "./label.ts";

const IPV6_GROUPS = 8;
/**
 * The prefix of IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2). TLS libraries treat such an address as the IPv4
 * address.
 */
const IPV4_MAPPED = "00000000000000000000ffff";

/**
 * Converts an IP address to bytes.
 *
 * @param text An address without brackets.
 * @returns 4 bytes for an IPv4 address, including an IPv4-mapped one such as `::ffff:192.0.2.7`; 16 bytes for any other
 *   IPv6 address; `undefined` for a text that is not an address or has a zone.
 */
export function addressBytes(text: string): Bytes | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split(".").map(Number));
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // The URL standard gives each address a single form, without dots.
  const [head = "", tail] = URL.parse(`http://[${text}]`)?.hostname.slice(1, -1).split("::") ?? [];
  const groups = (part: string | undefined) => part === undefined || part === "" ? [] : part.split(":");
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array<string>(Math.max(0, IPV6_GROUPS - before.length - after.length)).fill("0");
  const words = [...before, ...zeros, ...after].map((group) => parseInt(group, 16));
  const bytes = Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
  return hex(bytes).startsWith(IPV4_MAPPED) ? bytes.slice(12) : bytes;
}

/** 4 for IPv4, 6 for IPv6. */
export type AddressFamily = 4 | 6;

/** A network, such as `10.96.0.0/12`. */
export interface Network {
  readonly family: AddressFamily;
  /** The bytes of its first address. */
  readonly start: Bytes;
  /** The number of bits that all its addresses share. */
  readonly length: number;
  /** Its only form in CIDR notation: the first address, and the length. */
  readonly text: string;
}

const BITS: Readonly<Record<AddressFamily, number>> = { 4: 32, 6: 128 };

/** The family of an address, as bytes. */
export function familyOf(address: Uint8Array): AddressFamily {
  return address.length === 4 ? 4 : 6;
}

/**
 * Reads a network in CIDR notation. Bits after the prefix are dropped: the network of `10.244.1.7/16` is
 * `10.244.0.0/16`.
 *
 * @returns The network, or a clause that says why the text is none.
 */
export function readNetwork(text: string): Network | string {
  if (hasVariable(text)) return variableProblem(text);
  if (text.includes(",")) return `it must be one network: current value is ${shown(text)}`;
  if (/\s/.test(text)) return `it must have no spaces: current value is ${shown(text)}`;
  const [address = "", length, ...rest] = text.split("/");
  const bytes = addressBytes(address);
  if (bytes === undefined || rest.length > 0) {
    return `it must be a network in CIDR notation, as in "10.244.0.0/16": current value is ${shown(text)}`;
  }
  const family = familyOf(bytes);
  // An IPv4-mapped address is written as an IPv6 address, and its length counts other bits.
  if (family === 4 && address.includes(":")) return `write the IPv4 network itself, not as IPv6: ${shown(text)}`;
  if (length === undefined) {
    return `the prefix length is missing, as in "${address}/${family === 4 ? 16 : 56}": current value is ${
      shown(text)
    }`;
  }
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > BITS[family]) {
    return `the length after / must be from 0 to ${BITS[family]}: current value is ${shown(text)}`;
  }
  const start = masked(bytes, Number(length));
  return { family, start, length: Number(length), text: `${addressText(start)}/${length}` };
}

/** The address with all bits after a prefix set to zero. */
function masked(address: Uint8Array, length: number): Bytes {
  return Uint8Array.from(address, (byte, index) => {
    const kept = Math.min(8, Math.max(0, length - 8 * index));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

/** Formats an address: IPv4 with dots, IPv6 in the form of RFC 5952. */
export function addressText(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  const groups = Array.from({ length: IPV6_GROUPS }, (_, index) => {
    return (((address[2 * index] ?? 0) << 8) | (address[2 * index + 1] ?? 0)).toString(16);
  });
  return URL.parse(`http://[${groups.join(":")}]`)?.hostname.slice(1, -1) ?? groups.join(":");
}

/** Whether an address, as bytes, is in a network in CIDR notation, such as `10.96.0.0/12`. */
export function isInNetwork(address: Uint8Array, network: string): boolean {
  const [text = "", length] = network.split("/");
  const start = addressBytes(text);
  if (start?.length !== address.length) return false;
  const bits = Number(length);
  return hex(masked(address, bits)) === hex(masked(start, bits));
}

/** Whether two networks in CIDR notation share an address. Networks of different families share none. */
export function doNetworksOverlap(one: string, other: string): boolean {
  const isStartIn = (network: string, outer: string) => {
    const start = addressBytes(network.split("/")[0] ?? "");
    return start !== undefined && isInNetwork(start, outer);
  };
  return isStartIn(one, other) || isStartIn(other, one);
}

/**
 * Networks in which no other node can reach an address (IANA's registries of special-purpose and multicast addresses).
 */
const UNREACHABLE: readonly (readonly [network: string, what: string])[] = [
  ["0.0.0.0/8", "unspecified"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link-local"],
  ["224.0.0.0/4", "multicast"],
  ["240.0.0.0/4", "reserved"],
  ["::/128", "unspecified"],
  ["::1/128", "loopback"],
  ["fe80::/10", "link-local"],
  ["ff00::/8", "multicast"],
];

/**
 * Says what an address is that no other node can reach: "loopback", "link-local" and so on; `undefined` for all others.
 *
 * @param address As bytes: all spellings of an address are the same.
 */
export function unreachableKind(address: Uint8Array): string | undefined {
  return UNREACHABLE.find(([network]) => isInNetwork(address, network))?.[1];
}

/** Says which addresses of a network no other node can reach; `undefined` if there are none. */
export function unreachablePartOf(network: string): string | undefined {
  return UNREACHABLE.find(([special]) => doNetworksOverlap(network, special))?.[1];
}

/**
 * Says why a text cannot be a node's address, as a clause; `undefined` if it can: an IP address, without brackets, zone
 * or prefix, that other nodes can reach.
 */
export function nodeAddressProblem(text: string): string | undefined {
  const problem = memberAddressProblem(text);
  const bytes = addressBytes(text);
  if (problem !== undefined || bytes === undefined || bytes.length !== 4 || !text.includes(":")) return problem;
  return `write the IPv4 address itself, ${addressText(bytes)}, not as IPv6`;
}

/** Says why a text cannot be a member's address. A member may have an IPv4 address that is written as IPv6. */
export function memberAddressProblem(text: string): string | undefined {
  const bytes = addressBytes(text);
  const kind = bytes && unreachableKind(bytes);
  if (kind !== undefined) return `other nodes cannot reach ${shown(text)}: it is ${kind}`;
  if (bytes !== undefined) return undefined;
  if (hasVariable(text)) return variableProblem(text);
  const current = `current value is ${shown(text)}`;
  if (text.includes(",")) return `it must be one address: ${current}`;
  const [, bracketed] = /^\[(.*)\]$/.exec(text) ?? [];
  if (bracketed !== undefined && isIPv6(bracketed)) return `leave out the brackets: write ${bracketed}`;
  const network = readNetwork(text);
  if (typeof network !== "string") {
    const [address = ""] = text.split("/", 1);
    const isNetwork = network.text === text && network.length < BITS[network.family];
    return isNetwork
      ? `it is a network: to choose the address in it, write addressFrom: ${text} instead`
      : `leave out the length: write ${address}`;
  }
  if (/^[\d.]+$/.test(text)) return noIpv4Address(text);
  if (text.includes("%")) return `leave out the zone after %: ${current}`;
  const [, address] = /^(.*):\d+$/.exec(text) ?? [];
  if (address !== undefined && isIPv4(address)) return `leave out the port: write ${address}`;
  return `it must be an IP address that the other nodes can reach: ${current}`;
}

/** Says why digits and dots are no IPv4 address, as a clause. */
export function noIpv4Address(text: string): string {
  const zeros = text.split(".").find((part) => /^0\d/.test(part));
  // Some programs read such a number as octal.
  return `${text} is no IPv4 address${zeros === undefined ? "" : `: leave out the zeros at the beginning of ${zeros}`}`;
}
