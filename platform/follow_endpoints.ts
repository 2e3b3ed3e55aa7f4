/**
 * Follows endpoints whose names are asked of DNS again and again, because addresses come and go.
 *
 * @module
 */
import { lookup, resolveSrv } from "node:dns/promises";
import { isIP } from "node:net";
import { abortable } from "./abortable.ts";
import type { Clock } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointText, parseEndpoint } from "./endpoint.ts";
import type { EndpointSource, FollowedSource } from "./endpoint_source.ts";
import { isFollowed } from "./endpoint_source.ts";
import { asBootstrapError } from "./errors.ts";
import { present } from "./present.ts";

/** How many endpoints of a source are used. */
export const MAXIMUM_OF_SOURCE = 64;
/** How many hosts of SRV records are resolved at a time. */
const MAXIMUM_TARGETS = 32;

/** An SRV record: RFC 2782. */
export interface ServiceRecord {
  readonly priority: number;
  readonly port: number;
  /** The host's name; empty if the service is not there. */
  readonly name: string;
}

/** What names are asked of. */
export interface NameService {
  /** All IP addresses of a name, of both families. Throws if there is none. */
  readonly addresses: (name: string) => Promise<readonly string[]>;
  /** The SRV records of a name. Throws if there is none. */
  readonly services: (name: string) => Promise<readonly ServiceRecord[]>;
}

/** Asks as the rest of the machine does. SRV records come from DNS alone; the name is never completed. */
export const systemNames: NameService = Object.freeze({
  addresses: async (name: string) => (await lookup(name, { all: true })).map(({ address }) => address),
  services: (name: string) => resolveSrv(`${name}.`),
});

/** What is known of one source. */
export interface FollowedEndpoints {
  readonly source: FollowedSource;
  /** The endpoints of the last answer, each once, in a lasting order. */
  readonly endpoints: readonly Endpoint[];
  /** How many more the answer has than are used. */
  readonly leftOut: number;
  /** Why the last question had no answer, or no complete one. What is missing is as in the answer before. */
  readonly failure?: string;
}

/** How endpoints are followed. */
export interface FollowOptions {
  readonly sources: readonly EndpointSource[];
  readonly names: NameService;
  readonly clock: Pick<Clock, "sleep">;
  /** The time until a source is asked again, milliseconds. */
  readonly intervalMs: () => number;
  /** Whether an address of an answer is used at all. Default: each. */
  readonly isUsed?: (address: string) => boolean;
  /** Called when a source's endpoints or its failure have changed. */
  readonly onSource: (followed: FollowedEndpoints) => void;
  /** Called at once, and with all endpoints, each once, whenever they have changed: first the sources that are named first. */
  readonly onEndpoints: (endpoints: readonly Endpoint[]) => void;
}

/**
 * Follows all sources until the signal. A name server that fails takes no endpoint away. At most one question for each
 * source is under way, and 32 for the hosts of its SRV records.
 */
export async function followEndpoints(options: FollowOptions, signal: AbortSignal): Promise<never> {
  const { sources, onSource, onEndpoints } = options;
  const found = new Map(sources.map((source) => [source, isFollowed(source) ? [] : [source]] as const));
  const tell = () => onEndpoints(eachOnce([...found.values()].flat()));
  tell();
  const loops = sources.filter(isFollowed).map((source) =>
    followSource(source, options, (followed, areNew) => {
      onSource(followed);
      if (!areNew) return;
      found.set(source, [...followed.endpoints]);
      tell();
    }, signal)
  );
  return await Promise.race([...loops, abortable(Promise.withResolvers<never>().promise, signal)]);
}

async function followSource(
  source: FollowedSource,
  { names, clock, intervalMs, isUsed = () => true }: FollowOptions,
  onChange: (followed: FollowedEndpoints, areNew: boolean) => void,
  signal: AbortSignal,
): Promise<never> {
  const ask = questionFor(source, { ...names, addresses: async (name) => usable(await names.addresses(name), isUsed) });
  let known: FollowedEndpoints = { source, endpoints: [], leftOut: 0 };
  for (;;) {
    try {
      // A question has no signal, so the next one waits for it: at most one is under way.
      const { failure, ...answer } = await abortable(ask(), signal);
      const all = eachOnce(answer.endpoints);
      const endpoints = all.slice(0, MAXIMUM_OF_SOURCE);
      const areNew = textOf(endpoints) !== textOf(known.endpoints);
      const isChanged = areNew || failure !== known.failure;
      known = { source, endpoints, leftOut: all.length - endpoints.length, ...present("failure", failure) };
      if (isChanged) onChange(known, areNew);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asBootstrapError(error).message;
      const isChanged = failure !== known.failure;
      known = { ...known, failure };
      if (isChanged) onChange(known, false);
    }
    await clock.sleep(intervalMs(), signal);
  }
}

/** An answer, which may lack a part. */
interface Answer {
  readonly endpoints: readonly Endpoint[];
  /** Why a part of it is missing or old. */
  readonly failure?: string;
}

function questionFor(source: FollowedSource, names: NameService): () => Promise<Answer> {
  if (source.by === "srv") {
    const question = new ServiceQuestion(source.name, names);
    return () => question.ask();
  }
  const { host, port } = source;
  return async () => ({ endpoints: (await names.addresses(host)).map((address) => ({ host: address, port })) });
}

/**
 * The question for a service. Records of lower priority numbers come first; weights are not used, as all endpoints are
 * asked side by side.
 */
class ServiceQuestion {
  readonly #name: string;
  readonly #names: NameService;
  /** The last addresses of each host: one that cannot be resolved for a while keeps them. */
  #known = new Map<string, readonly string[]>();

  constructor(name: string, names: NameService) {
    this.#name = name;
    this.#names = names;
  }

  async ask(): Promise<Answer> {
    const records = [...await this.#names.services(this.#name)].sort(byPriority);
    const targets = eachOnce(records.flatMap(({ name, port }) => {
      // A record that no endpoint may have, such as one with the port 0, is none. So is the root's name.
      const target = parseEndpoint(`${name}:${port}`);
      return typeof target === "string" ? [] : [target];
    }));
    const hosts = [...new Set(targets.map(({ host }) => host))].slice(0, MAXIMUM_TARGETS);
    const answers = await Promise.allSettled(hosts.map((host) => this.#names.addresses(host)));
    const before = this.#known;
    this.#known = new Map(hosts.map((host, index) => {
      const answer = answers[index];
      return [host, answer?.status === "fulfilled" ? answer.value : before.get(host) ?? []];
    }));
    const failed = answers.find((answer) => answer.status === "rejected");
    return {
      endpoints: targets.flatMap(({ host, port }) =>
        (this.#known.get(host) ?? []).map((address) => ({ host: address, port }))
      ),
      ...present("failure", failed && asBootstrapError(failed.reason).message),
    };
  }
}

function byPriority(one: ServiceRecord, other: ServiceRecord): number {
  const [first, second] = [one, other].map(({ name, port }) => `${name}:${port}`);
  return one.priority - other.priority || compare(first ?? "", second ?? "");
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The addresses of an answer that can be used, each once, in an order that does not depend on the name server's. */
function usable(addresses: readonly string[], isUsed: (address: string) => boolean): readonly string[] {
  return [...new Set(addresses)].filter((address) => isIP(address) !== 0 && !address.includes("%") && isUsed(address))
    .sort();
}

function textOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(endpointText).join();
}

function eachOnce(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpointText(endpoint), endpoint])).values()];
}
