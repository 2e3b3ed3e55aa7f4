/**
 * The machine's default routes and the states of its addresses, as the kernel lists them.
 *
 * @module
 */

/** A default route. */
interface DefaultRoute {
  readonly interface: string;
  readonly metric: number;
  /** Whether it leads to a gateway, and not only into an interface, as those of tunnels do. */
  readonly hasGateway: boolean;
}

/** RTF_UP, RTF_GATEWAY and RTF_REJECT (Linux, `include/uapi/linux/route.h`). */
const ROUTE_UP = 0x1;
const ROUTE_GATEWAY = 0x2;
const ROUTE_REJECT = 0x200;

/**
 * The interfaces of the default routes, best first: those with a gateway before those of tunnels, IPv4 before IPv6, a
 * lower metric before a higher one.
 *
 * @param ipv4 The content of `/proc/self/net/route`: a header line, then one line per route with the fields Iface,
 *   Destination, Gateway, Flags, RefCnt, Use, Metric, Mask, …. Addresses and flags are hexadecimal (Linux,
 *   `fib_route_seq_show()`).
 * @param ipv6 The content of `/proc/self/net/ipv6_route`: destination, its length, source, its length, next hop, metric,
 *   reference count, uses, flags, all hexadecimal, and the interface (Linux, `rt6_info_route()`).
 */
export function defaultRouteInterfaces(ipv4: string, ipv6 = ""): readonly string[] {
  const routes = [...byMetric(ipv4Defaults(ipv4)), ...byMetric(ipv6Defaults(ipv6))];
  const ordered = [...routes.filter(({ hasGateway }) => hasGateway), ...routes.filter(({ hasGateway }) => !hasGateway)];
  return [...new Set(ordered.map((route) => route.interface))];
}

function byMetric(routes: readonly DefaultRoute[]): readonly DefaultRoute[] {
  return routes.toSorted((a, b) => a.metric - b.metric);
}

function ipv4Defaults(table: string): readonly DefaultRoute[] {
  return table.split("\n").slice(1).map((line) => line.trim().split(/\s+/)).flatMap((fields) => {
    const [name = "", destination, , flagsText = "", , , metric = "", mask] = fields;
    const flags = parseInt(flagsText, 16);
    const isDefault = destination === "00000000" && mask === "00000000" && isUsable(name, flags);
    return isDefault ? [{ interface: name, metric: Number(metric), hasGateway: (flags & ROUTE_GATEWAY) !== 0 }] : [];
  });
}

function ipv6Defaults(table: string): readonly DefaultRoute[] {
  return table.split("\n").map((line) => line.trim().split(/\s+/)).flatMap((fields) => {
    const [destination = "", length, , , , metric = "", , , flagsText = "", name = ""] = fields;
    const flags = parseInt(flagsText, 16);
    const isDefault = /^0{32}$/.test(destination) && length === "00" && isUsable(name, flags);
    return isDefault
      ? [{ interface: name, metric: parseInt(metric, 16), hasGateway: (flags & ROUTE_GATEWAY) !== 0 }]
      : [];
  });
}

function isUsable(name: string, flags: number): boolean {
  return (flags & ROUTE_UP) !== 0 && (flags & ROUTE_REJECT) === 0 && name !== "lo" && name !== "";
}

/**
 * IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED and IFA_F_TENTATIVE (Linux, `include/uapi/linux/if_addr.h`).
 */
const TRANSIENT = 0x01 | 0x08 | 0x20 | 0x40;

/**
 * The IPv6 addresses that come and go: privacy addresses, and those that are not in use yet or any more.
 *
 * @param table The content of `/proc/self/net/if_inet6`: address, index, length of the prefix, scope, flags, all hexadecimal,
 *   and the interface (Linux, `if6_seq_show()`).
 * @returns The addresses as 32 hexadecimal digits in lower case.
 */
export function transientAddresses(table: string): ReadonlySet<string> {
  return new Set(
    table.split("\n").map((line) => line.trim().split(/\s+/)).flatMap((fields) => {
      const [address = "", , , , flags = ""] = fields;
      return /^[0-9a-f]{32}$/.test(address) && (parseInt(flags, 16) & TRANSIENT) !== 0 ? [address] : [];
    }),
  );
}
