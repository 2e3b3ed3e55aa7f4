/**
 * A renewal from the node's side: a member proves again what it is, and gets certificates for new keys.
 *
 * It is the Join exchange, with the cluster that the node's lock names and no other.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import type { JoiningNode } from "./exchange_client.ts";
import { JOIN_CLIENT_DEADLINES } from "./exchange_client.ts";
import type { Ticket } from "./ticket.ts";
import type { EndpointFailure } from "./ticket_search.ts";
import { TicketSearch } from "./ticket_search.ts";

/** The member that asks, and whom it asks. */
export interface RenewingNode extends Pick<JoiningNode, "trust" | "self" | "kubeletVersion" | "issuer" | "keys"> {
  /** The cluster ID that the node's lock names, 32 bytes. */
  readonly lockedTo: Uint8Array;
  /** The join services to ask, at least one. */
  readonly endpoints: readonly EndpointSource[];
  readonly clock: Clock;
  /** Records refusals. */
  readonly log: Log;
}

/** How a renewal is run. */
export interface RenewalOptions {
  /** Ends the renewal. */
  readonly signal: AbortSignal;
  /** Called with every failed attempt. */
  readonly onFailure?: (failure: EndpointFailure) => void;
}

/**
 * Asks all join services, each again and again with growing pauses, until one gives a ticket with new certificates. No
 * refusal ends it: one service's word is not the cluster's.
 *
 * @throws {BootstrapError} `aborted/ticket-search` when the signal ends it.
 */
export function obtainRenewal(node: RenewingNode, { signal, onFailure }: RenewalOptions): Promise<Ticket> {
  const { trust, self, kubeletVersion, issuer, keys, lockedTo, endpoints, clock, log } = node;
  const search = new TicketSearch({
    endpoints,
    clock,
    log,
    node: {
      purpose: "renew",
      trust,
      self,
      kubeletVersion,
      issuer,
      keys,
      clock,
      lockedTo,
      deadlines: JOIN_CLIENT_DEADLINES,
    },
    ...present("onFailure", onFailure),
  });
  return search.run(signal);
}
