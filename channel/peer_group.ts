import { isIPv6 } from "node:net";

/** A /24 is the least that providers announce and hand out. */
const GROUP_BYTES_OF_IPV4 = 3;
/** A /48 is what a site gets (RFC 6177). */
const GROUP_WORDS_OF_IPV6 = 3;
/** A /64 is one link. A machine there takes as many addresses as it likes (RFC 4862). */
const LINK_WORDS_OF_IPV6 = 4;

/**
 * Returns the peer group of an address: the addresses that one party is assumed to control. These are a /24 network of
 * IPv4, or a /48 network of IPv6. Many nodes may share a group, so it may limit shares of a resource but is never a
 * reason to refuse.
 *
 * @param address An address with or without a port, such as `192.0.2.7:9443` or `2001:db8::1:9443` (the runtime's own
 *   form).
 * @returns A text that is equal for all addresses of a group. It proves nothing.
 */
export function peerGroup(address: string): string {
  const words = ipv6Words(address);
  if (words !== undefined) return words.slice(0, GROUP_WORDS_OF_IPV6).join(":");
  const bare = bareAddress(address);
  const bytes = bare.split(".");
  return bytes.length === 4 ? bytes.slice(0, GROUP_BYTES_OF_IPV4).join(".") : bare;
}

/**
 * Returns the address of one peer within its group: an IPv4 address, or the first 64 bits of an IPv6 address.
 *
 * @param address The same forms as for {@linkcode peerGroup}.
 */
export function peerLink(address: string): string {
  return ipv6Words(address)?.slice(0, LINK_WORDS_OF_IPV6).join(":") ?? bareAddress(address);
}

/** Removes port, brackets and the prefix of mapped IPv4 addresses. */
function bareAddress(address: string): string {
  const host = /^(.*):\d{1,5}$/.exec(address)?.[1] ?? address;
  return host.replace(/^\[|\]$/g, "").replace(/^::ffff:(?=\d+\.)/i, "");
}

/** Returns the eight words of an IPv6 address in hexadecimal, or `undefined` for another address. */
function ipv6Words(address: string): string[] | undefined {
  const bare = bareAddress(address);
  if (!isIPv6(bare)) return undefined;
  const [head = "", tail] = bare.split("%", 1)[0]?.split("::") ?? [];
  const words = (text: string) => text === "" ? [] : text.split(":");
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  const all = tail === undefined ? first : [...first, ...zeros, ...last];
  return all.map((word) => Number.parseInt(word, 16).toString(16));
}
