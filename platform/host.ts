/**
 * Hosts in URLs and endpoints, where an IPv6 address has brackets.
 *
 * @module
 */
import { isIPv6 } from "node:net";

/** Formats a host for a URL. */
export function urlHost(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** Formats `host:port`. */
export function hostAndPort(host: string, port: number): string {
  return `${urlHost(host)}:${port}`;
}
