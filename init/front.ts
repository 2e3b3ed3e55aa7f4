/**
 * The front of an InitServer: a process that has given up root. kubeadm and the cluster's keys are behind its socket; see
 * `front_socket.ts`.
 *
 * @module
 */
import { listenAtFront } from "../channel/relay_front.ts";
import type { ChannelServer } from "../channel/server.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import type { Log } from "../platform/log.ts";
import { InitServiceService } from "../proto/gen/bootstrapper.ts";
import { INIT_SERVICE_NUMBER, MAXIMUM_CONNECTIONS } from "./front_socket.ts";
import { MAXIMUM_MESSAGE_LENGTH } from "../channel/exchange.ts";

/** What a front of an InitServer works with. */
export interface InitFrontOptions {
  /** Where to listen; port 0 lets the kernel choose one. */
  readonly listen: Endpoint;
  /** The InitServer's socket. */
  readonly socket: string;
  readonly log: Log;
}

/**
 * Listens for operators, and passes them on.
 *
 * @throws {BootstrapError} `system/listen`.
 */
export function listenForOperators({ listen, socket, log }: InitFrontOptions): Promise<ChannelServer> {
  return listenAtFront({
    ...listen,
    path: socket,
    service: InitServiceService,
    serviceNumber: INIT_SERVICE_NUMBER,
    maximumConnections: MAXIMUM_CONNECTIONS,
    maximumMessageLength: MAXIMUM_MESSAGE_LENGTH,
    log,
  });
}
