/**
 * IP addresses as bytes. Each address has a single byte form, however its text is written.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { hex } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";

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

/** Whether an address, as bytes, is in a network in CIDR notation, such as `10.96.0.0/12`. */
export function isInNetwork(address: Uint8Array, network: string): boolean {
  const [text = "", length] = network.split("/");
  const start = addressBytes(text);
  if (start?.length !== address.length) return false;
  const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(address).startsWith(bits(start).slice(0, Number(length)));
}

/** Whether two networks in CIDR notation share an address. Networks of different families share none. */
export function doNetworksOverlap(one: string, other: string): boolean {
  const isStartIn = (network: string, outer: string) => {
    const start = addressBytes(network.split("/")[0] ?? "");
    return start !== undefined && isInNetwork(start, outer);
  };
  return isStartIn(one, other) || isStartIn(other, one);
}
