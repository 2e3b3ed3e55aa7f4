/**
 * Network endpoints in the form in which people write them: `HOST:PORT`.
 *
 * @module
 */
import { isIP, isIPv6 } from "node:net";
import { BootstrapError } from "./errors.ts";
import { hostAndPort } from "./host.ts";
import { addressBytes, addressText, noIpv4Address } from "./ip_address.ts";
import { hasVariable, shown, variableProblem } from "./label.ts";

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
const FORM = "the host an IPv4 address, an IPv6 address in brackets or a DNS name";

/** Formats an endpoint as `HOST:PORT`, with brackets around an IPv6 address. */
export function endpointText({ host, port }: Endpoint): string {
  return hostAndPort(host, port);
}

/** A text that is the same for all spellings of an endpoint, to compare endpoints by. */
export function endpointIdentity({ host, port }: Endpoint): string {
  const address = addressBytes(host);
  return endpointText({ host: address === undefined ? host : addressText(address), port });
}

/**
 * Reads an endpoint to connect to.
 *
 * @param text `HOST:PORT`; the host is an IPv4 address, an IPv6 address in brackets, or a DNS name. Capital letters are
 *   those of the same name in lower case.
 * @param what The field's name, for errors.
 * @param defaultPort The port to use if the text names none. Without a default, the text must name a port.
 * @throws {BootstrapError} `usage/endpoint`.
 */
export function readEndpoint(text: string, what: string, defaultPort?: number): Endpoint {
  const endpoint = parseEndpoint(text, defaultPort === undefined ? {} : { defaultPort });
  if (typeof endpoint !== "string") return endpoint;
  const form = defaultPort === undefined ? "HOST:PORT" : `HOST or HOST:PORT (default ${defaultPort})`;
  throw unreadable(what, form, endpoint);
}

/**
 * Reads an endpoint to listen on, whose host must be an IP address.
 *
 * @throws {BootstrapError} `usage/endpoint`.
 */
export function readListenAddress(text: string, what: string): Endpoint {
  const endpoint = parseListenAddress(text);
  if (typeof endpoint !== "string") return endpoint;
  throw unreadable(what, "HOST:PORT", endpoint);
}

function unreadable(what: string, form: string, reason: string): BootstrapError {
  return new BootstrapError("usage/endpoint", `Cannot read ${what} as it must be ${form}: ${reason}`);
}

/** The ports of an endpoint that names none. */
export interface EndpointPorts {
  /** The port to use if the text names none. */
  readonly defaultPort?: number;
  /** The port that such endpoints usually have, for the error's advice. */
  readonly usualPort?: number;
}

/** Reads an endpoint to connect to. Returns the endpoint, or a clause that says why the text is none. */
export function parseEndpoint(
  text: string,
  { defaultPort, usualPort = defaultPort }: EndpointPorts = {},
): Endpoint | string {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = (bracketed ?? plain ?? "").toLowerCase();
  const isHost = bracketed === undefined
    ? isIP(host) === 4 || (host.length <= LONGEST_DNS_NAME && DNS_NAME.test(host))
    : isIPv6(host) && !host.includes("%");
  const port = portText === undefined ? defaultPort ?? 0 : Number(portText);
  if (isHost && port >= 1 && port <= HIGHEST_PORT) return { host, port };
  if (isHost && portText === undefined) {
    return `the port is missing: write ${text}:${usualPort ?? "PORT"}`;
  }
  if (isHost) return `the port must be from 1 to ${HIGHEST_PORT}: current value is ${shown(text)}`;
  return hostProblem(text, usualPort) ?? `it must be HOST:PORT, ${FORM}: current value is ${shown(text)}`;
}

/** Reads an endpoint to listen on. Returns the endpoint, or a clause that says why the text is none. */
export function parseListenAddress(text: string, usualPort?: number): Endpoint | string {
  const endpoint = parseEndpoint(text, usualPort === undefined ? {} : { usualPort });
  if (typeof endpoint === "string" || isIP(endpoint.host) !== 0) return endpoint;
  return `the host must be an IP address of this machine: current value is ${shown(text)}`;
}

/** Says what is wrong with the host of an endpoint, for the mistakes that people make. */
function hostProblem(text: string, usualPort: number | undefined): string | undefined {
  if (text === "") return "it is empty";
  if (hasVariable(text)) return variableProblem(text);
  if (text !== text.trim()) return `it has spaces around it: ${shown(text)}`;
  if (/^[^:]+:$/.test(text)) return `the port is missing: write ${text}${usualPort ?? "PORT"}`;
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/i.exec(text) ?? [];
  if (scheme !== undefined && rest !== undefined) return `leave out ${scheme}: write ${rest.replace(/\/.*$/, "")}`;
  if (/[,;]|\s/.test(text)) return `it must be one endpoint: current value is ${shown(text)}`;
  if (text.includes("/")) return `leave out the path after /: current value is ${shown(text)}`;
  if (text.includes("%")) return `leave out the zone after %: current value is ${shown(text)}`;
  const ipv6 = bareIpv6(text, usualPort);
  if (ipv6 !== undefined) return `put the IPv6 address in brackets: write ${ipv6}`;
  const [, host = text, port = ""] = /^(.*?)((?::\d*)?)$/.exec(text) ?? [];
  if (/^\[[\d.]+\]$/.test(host)) return `leave out the brackets: write ${host.slice(1, -1)}${port}`;
  if (/^[\d.]+$/.test(host)) return noIpv4Address(host);
  if (host.endsWith(".")) return `leave out the final dot: write ${host.slice(0, -1)}${port}`;
  if (host.includes("_")) return `"_" is not allowed in a host name: current value is ${shown(text)}`;
  const ascii = URL.parse(`http://${host}`)?.hostname ?? "";
  if (!/^[\x20-\x7e]*$/.test(host) && DNS_NAME.test(ascii)) return `write the name in its ASCII form: ${ascii}${port}`;
  return undefined;
}

/** An IPv6 address that lacks its brackets, with them. The last group may have been meant as the port. */
function bareIpv6(text: string, usualPort: number | undefined): string | undefined {
  const [, address = "", port = ""] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (isIPv6(address) && Number(port) <= HIGHEST_PORT && Number(port) > 0) return `[${address}]:${port}`;
  return isIPv6(text) ? `[${text}]:${usualPort ?? "PORT"}` : undefined;
}
