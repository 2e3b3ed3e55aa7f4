/**
 * The socket behind the front of an InitServer. kubeadm and the cluster's keys are on this side of it, strangers on the
 * other; see `front.ts`.
 *
 * @module
 */
import type { RelayBounds, RelayServer } from "../channel/relay_server.ts";
import { serveRelayed } from "../channel/relay_server.ts";
import { MAXIMUM_MESSAGE_LENGTH } from "../channel/exchange.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { InitServiceService } from "../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../proto/gen/bootstrapper.ts";
import type { InitSession } from "./exchange_server.ts";

/** The number by which front and InitServer name the service. */
export const INIT_SERVICE_NUMBER = 1;
/** How many operators and strangers an InitServer has room for. */
export const MAXIMUM_CONNECTIONS = 32;
/**
 * The InitServer's own bounds, which hold whatever the front does. An init takes a quarter of an hour at most, and its
 * operator listens for all of it.
 */
const BOUNDS: RelayBounds = {
  maximumExchanges: MAXIMUM_CONNECTIONS,
  maximumMessageLength: MAXIMUM_MESSAGE_LENGTH,
  maximumBytes: 8 << 20,
  exchangeDeadlineMs: 2 * 60 * 60_000,
};

/** What serves behind a front. */
export interface InitSocket {
  /** From `openRelaySocket()`. */
  readonly listener: Deno.Listener;
  /** Called when a front says on which port it listens. */
  readonly onListening?: (port: number) => void;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

/** Serves operators behind a front. */
export function serveOperators(socket: InitSocket, handle: (session: InitSession) => Promise<void>): RelayServer {
  return serveRelayed<InitClientMessage, InitServerMessage>({
    ...socket,
    ...BOUNDS,
    method: InitServiceService.init,
    serviceNumber: INIT_SERVICE_NUMBER,
    handle,
  });
}
