/**
 * IP addresses as bytes, so that one address has one form however it is written.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { hex } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";

const IPV6_GROUPS = 8;
/** IPv4 addresses inside of IPv6 (RFC 4291, 2.5.5.2): TLS libraries take the one for the other. */
const IPV4_MAPPED = "00000000000000000000ffff";

/**
 * The bytes of an IP address.
 *
 * @param text An address without brackets.
 * @returns 4 bytes, also for an IPv4 address inside of IPv6 as `::ffff:192.0.2.7`; 16 for any other IPv6 address; nothing
 *   for what is no address, or has a zone.
 */
export function addressBytes(text: string): Bytes | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split(".").map(Number));
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // The URL standard has one form for each address, without dots.
  const [head = "", tail] = URL.parse(`http://[${text}]`)?.hostname.slice(1, -1).split("::") ?? [];
  const groups = (part: string | undefined) => part === undefined || part === "" ? [] : part.split(":");
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array<string>(Math.max(0, IPV6_GROUPS - before.length - after.length)).fill("0");
  const words = [...before, ...zeros, ...after].map((group) => parseInt(group, 16));
  const bytes = Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
  return hex(bytes).startsWith(IPV4_MAPPED) ? bytes.slice(12) : bytes;
}

/** Whether an address, as its bytes, lies in a network in CIDR notation, as `10.96.0.0/12`. */
export function isInNetwork(address: Uint8Array, network: string): boolean {
  const [text = "", length] = network.split("/");
  const start = addressBytes(text);
  if (start?.length !== address.length) return false;
  const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(address).startsWith(bits(start).slice(0, Number(length)));
}
