/**
 * Finds the addresses of the other founders: those of a list, and all to which names resolve, asked again and again.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { abortable } from "../platform/abortable.ts";
import type { Clock } from "../platform/clock.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";

/** How often a name is asked for, milliseconds. */
export const RESOLVE_INTERVAL_MS = 5_000;
/** How many addresses of a name are used. */
export const MAXIMUM_ADDRESSES = 64;

/** Resolves a name to all its IP addresses, of both families. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** Resolves as the rest of the machine does. */
export const systemResolve: Resolve = async (name): Promise<readonly string[]> =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/** What discovery works with. */
export interface DiscoveryOptions {
  /** Where the other founders are: IP addresses, and names that may have several addresses. */
  readonly peers: readonly Endpoint[];
  readonly resolve: Resolve;
  readonly clock: Pick<Clock, "sleep">;
  /** Gets one line for each change. */
  readonly log: Log;
  /** Called with all addresses, each once, when they have changed. */
  readonly onAddresses: (addresses: readonly Endpoint[]) => void;
}

/** Follows the addresses until the signal. */
export async function followAddresses(options: DiscoveryOptions, signal: AbortSignal): Promise<never> {
  const { peers, onAddresses } = options;
  const found = new Map<string, readonly Endpoint[]>();
  const tell = () => onAddresses(unique([...found.values()].flat()));
  for (const peer of peers) if (isIP(peer.host) !== 0) found.set(endpointText(peer), [peer]);
  tell();
  const names = peers.filter(({ host }) => isIP(host) === 0);
  const loops = names.map((peer) =>
    followName(peer, options, (addresses) => {
      found.set(endpointText(peer), addresses);
      tell();
    }, signal)
  );
  loops.push(abortable(Promise.withResolvers<never>().promise, signal));
  return await Promise.race(loops);
}

async function followName(
  { host, port }: Endpoint,
  { resolve, clock, log }: DiscoveryOptions,
  onChange: (addresses: readonly Endpoint[]) => void,
  signal: AbortSignal,
): Promise<never> {
  const names = log.with({ name: host });
  let known: readonly string[] = [];
  let failure: string | undefined;
  for (;;) {
    try {
      // A resolution has no signal, so the next one waits for it: at most one is under way.
      const answer = await abortable(resolve(host), signal);
      const addresses = [...new Set(answer)].filter((address) => isIP(address) !== 0 && !address.includes("%"))
        .sort();
      const used = addresses.slice(0, MAXIMUM_ADDRESSES);
      if (failure !== undefined || used.join() !== known.join()) {
        const left = addresses.length - used.length;
        names.event("info", "founders-resolved", { addresses: used, ...(left === 0 ? {} : { leftOut: left }) });
      }
      if (used.join() !== known.join()) onChange(used.map((address) => ({ host: address, port })));
      [known, failure] = [used, undefined];
    } catch (error) {
      signal.throwIfAborted();
      const { message } = asBootstrapError(error);
      // A name server that is down takes no founder away: the addresses of the last answer stay.
      if (failure !== message) names.event("warn", "founders-not-resolved", { message, addresses: known });
      failure = message;
    }
    await clock.sleep(RESOLVE_INTERVAL_MS, signal);
  }
}

function unique(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpointText(endpoint), endpoint])).values()];
}
