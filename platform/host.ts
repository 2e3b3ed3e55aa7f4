/**
 * Hosts in texts: an IPv6 address has brackets there.
 *
 * @module
 */
import { isIPv6 } from "node:net";

/** A host as URLs have it. */
export function urlHost(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** `host:port`. */
export function hostAndPort(host: string, port: number): string {
  return `${urlHost(host)}:${port}`;
}
