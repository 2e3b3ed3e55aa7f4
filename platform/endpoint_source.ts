/**
 * Where endpoints are found: one that is named, or those of a name in DNS.
 *
 * @module
 */
import { isIP } from "node:net";
import type { Endpoint, EndpointPorts } from "./endpoint.ts";
import { endpointText, parseEndpoint } from "./endpoint.ts";
import { BootstrapError } from "./errors.ts";
import { shown } from "./label.ts";

/** Every address of a name, each an endpoint of its own, as `dns:NAME:PORT`. */
export interface NamedEndpoints extends Endpoint {
  readonly by: "dns";
}

/** The endpoints of a name's SRV records (RFC 2782), as `srv:_SERVICE._tcp.DOMAIN`. */
export interface ServiceEndpoints {
  readonly by: "srv";
  /** The records' name, in lower case, without a final dot. */
  readonly name: string;
}

/** What is asked of DNS again and again, because its answer may change. */
export type FollowedSource = NamedEndpoints | ServiceEndpoints;

/** One endpoint, or all that a name has. */
export type EndpointSource = Endpoint | FollowedSource;

/** RFC 6335, 5.1: at most 15 letters, digits and single hyphens inside. */
const SERVICE_NAME = /^_(?=.{1,15}\.)[a-z0-9]+(?:-[a-z0-9]+)*\._tcp\.(.+)$/;
const LONGEST_DNS_NAME = 253;
const ANY_PORT = 1;

/** Whether a source's endpoints are asked of DNS, and may change. */
export function isFollowed(source: EndpointSource): source is FollowedSource {
  return "by" in source;
}

/** Formats a source as people write it. */
export function sourceText(source: EndpointSource): string {
  if (!isFollowed(source)) return endpointText(source);
  return source.by === "srv" ? `srv:${source.name}` : `dns:${endpointText(source)}`;
}

/**
 * Reads `HOST:PORT`, `dns:NAME:PORT` or `srv:_SERVICE._tcp.DOMAIN`. Returns the source, or a clause that says why the
 * text is none. A host whose name is `dns` or `srv` is still read as `dns:9444`.
 */
export function parseEndpointSource(text: string, ports: EndpointPorts = {}): EndpointSource | string {
  const [, by, rest = ""] = /^(dns|srv):(?!\d{1,5}$)(.*)$/is.exec(text) ?? [];
  if (by === undefined) return parseEndpoint(text, ports);
  return by.toLowerCase() === "dns" ? parseNamed(rest, ports) : parseService(rest);
}

/**
 * Reads a source as {@linkcode parseEndpointSource} does.
 *
 * @param what The field's name, for errors.
 * @throws {BootstrapError} `usage/endpoint`.
 */
export function readEndpointSource(text: string, what: string): EndpointSource {
  const source = parseEndpointSource(text);
  if (typeof source !== "string") return source;
  const form = "HOST:PORT, dns:NAME:PORT or srv:_SERVICE._tcp.DOMAIN";
  throw new BootstrapError("usage/endpoint", `Cannot read ${what} as it must be ${form}: ${source}`);
}

function parseNamed(text: string, ports: EndpointPorts): NamedEndpoints | string {
  const endpoint = parseEndpoint(text, ports);
  if (typeof endpoint === "string") return `after dns:, ${endpoint}`;
  if (isIP(endpoint.host) === 0) return { by: "dns", ...endpoint };
  return `${endpoint.host} is an address, and no name: write ${endpointText(endpoint)}`;
}

function parseService(text: string): ServiceEndpoints | string {
  const name = text.toLowerCase();
  const domain = SERVICE_NAME.exec(name)?.[1];
  const isDomain = domain !== undefined && typeof parseEndpoint(domain, { defaultPort: ANY_PORT }) !== "string" &&
    !domain.includes(":") && isIP(domain) === 0;
  if (isDomain && name.length <= LONGEST_DNS_NAME) return { by: "srv", name };
  return serviceProblem(name) ??
    `after srv:, it must be the name of SRV records, as in srv:_bootstrapper._tcp.example.org: current value is ${
      shown(text)
    }`;
}

function serviceProblem(name: string): string | undefined {
  const [, withoutPort] = /^(.+):\d+$/.exec(name) ?? [];
  if (withoutPort !== undefined) return `SRV records say the port: write srv:${withoutPort}`;
  if (name.endsWith(".")) return `leave out the final dot: write srv:${name.slice(0, -1)}`;
  if (/^_[^.]+\._udp\./.test(name)) {
    return `a join service is called by TCP: write srv:${name.replace("._udp.", "._tcp.")}`;
  }
  return undefined;
}
