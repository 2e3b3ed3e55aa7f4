/**
 * Finds the addresses of the other founders: those of a list, and all to which names resolve, asked again and again.
 *
 * @module
 */
import { isIP } from "node:net";
import type { Clock } from "../platform/clock.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import type { FollowedSource } from "../platform/endpoint_source.ts";
import { followEndpoints, systemNames } from "../platform/follow_endpoints.ts";
import type { NameService } from "../platform/follow_endpoints.ts";
import type { Log } from "../platform/log.ts";

/** How often a name is asked for, milliseconds. */
export const RESOLVE_INTERVAL_MS = 5_000;

/** Resolves a name to all its IP addresses, of both families. */
export type Resolve = NameService["addresses"];

/** Resolves as the rest of the machine does. */
export const systemResolve: Resolve = systemNames.addresses;

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
export function followAddresses(options: DiscoveryOptions, signal: AbortSignal): Promise<never> {
  const { peers, resolve, clock, log, onAddresses } = options;
  return followEndpoints({
    // Addresses first: they are known at once.
    sources: [...peers.filter(isAddress), ...peers.filter((peer) => !isAddress(peer)).map(every)],
    names: { ...systemNames, addresses: resolve },
    clock,
    intervalMs: () => RESOLVE_INTERVAL_MS,
    onSource: ({ source, endpoints, leftOut, failure }) => {
      const names = log.with({ name: source.by === "dns" ? source.host : source.name });
      const addresses = endpoints.map(({ host }) => host);
      if (failure !== undefined) names.event("warn", "founders-not-resolved", { message: failure, addresses });
      else names.event("info", "founders-resolved", { addresses, ...(leftOut === 0 ? {} : { leftOut }) });
    },
    onEndpoints: onAddresses,
  }, signal);
}

function isAddress({ host }: Endpoint): boolean {
  return isIP(host) !== 0;
}

function every({ host, port }: Endpoint): FollowedSource {
  return { by: "dns", host, port };
}
