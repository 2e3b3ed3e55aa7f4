import { isIPv6 } from "node:net";

const GROUP_OF_IPV6 = 4;

/**
 * Returns the peer group of an address: the addresses that one party is assumed to control. This is one IPv4 address,
 * or the first 64 bits of an IPv6 address (RFC 6177: no site gets less). Many nodes may share a group, so it may limit
 * shares of a resource but is never a reason to refuse.
 *
 * @param address An address with or without a port, such as `192.0.2.7:9443` or `2001:db8::1:9443` (the runtime's own
 *   form).
 * @returns A text that is equal for all addresses of a group. It proves nothing.
 */
export function peerGroup(address: string): string {
  const host = /^(.*):\d{1,5}$/.exec(address)?.[1] ?? address;
  const bare = host.replace(/^\[|\]$/g, "").replace(/^::ffff:(?=\d+\.)/i, "");
  if (!isIPv6(bare)) return bare;
  const [head = "", tail] = bare.split("%", 1)[0]?.split("::") ?? [];
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  const all = tail === undefined ? first : [...first, ...zeros, ...last];
  return all.slice(0, GROUP_OF_IPV6).map((group) => Number.parseInt(group, 16).toString(16)).join(":");
}
