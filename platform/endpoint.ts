/**
 * Network endpoints in the form in which people write them: `HOST:PORT`.
 *
 * @module
 */
import { isIP, isIPv6 } from "node:net";
import { BootstrapError } from "./errors.ts";
import { hostAndPort } from "./host.ts";

/** A network endpoint. */
export interface Endpoint {
  /** An IP address or a DNS name, without brackets, in lower case. */
  readonly host: string;
  /** The port, 1 to 65535. */
  readonly port: number;
}

const HIGHEST_PORT = 65_535;
const LONGEST_DNS_NAME = 253;
const DNS_NAME = /^(?!.*\.\d+$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/;

/** Formats an endpoint as `HOST:PORT`, with brackets around an IPv6 address. */
export function endpointText({ host, port }: Endpoint): string {
  return hostAndPort(host, port);
}

/**
 * Reads an endpoint to connect to.
 *
 * @param text `HOST:PORT`; the host is an IPv4 address, an IPv6 address in brackets, or a DNS name.
 * @param what The field's name, for errors.
 * @param defaultPort The port to use if the text names none. Without a default, the text must name a port.
 * @throws {BootstrapError} `usage/endpoint`.
 */
export function readEndpoint(text: string, what: string, defaultPort?: number): Endpoint {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = (bracketed ?? plain ?? "").toLowerCase();
  const isHost = bracketed === undefined
    ? isIP(host) === 4 || (host.length <= LONGEST_DNS_NAME && DNS_NAME.test(host))
    : isIPv6(host) && !host.includes("%");
  const port = portText === undefined ? defaultPort ?? 0 : Number(portText);
  if (isHost && port >= 1 && port <= HIGHEST_PORT) return { host, port };
  const form = defaultPort === undefined ? "HOST:PORT" : `HOST or HOST:PORT (default ${defaultPort})`;
  throw new BootstrapError(
    "usage/endpoint",
    `Cannot read ${what} as it must be ${form}, the host an IPv4 address, an IPv6 address in brackets or a DNS name: ` +
      `current value is ${JSON.stringify(text.slice(0, 80))}`,
  );
}

/**
 * Reads an endpoint to listen on, whose host must be an IP address.
 *
 * @throws {BootstrapError} `usage/endpoint`.
 */
export function readListenAddress(text: string, what: string): Endpoint {
  const endpoint = readEndpoint(text, what);
  if (isIP(endpoint.host) !== 0) return endpoint;
  throw new BootstrapError("usage/endpoint", `Cannot read ${what} as its host must be an IP address of this machine`);
}
