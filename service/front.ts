/**
 * The front of a join service: it listens, and passes the exchanges on to the signer.
 *
 * It holds no key and no credential, and reads nothing but the address to listen on. Whoever takes it over can refuse
 * service, and nothing else: see ARCHITECTURE.md.
 *
 * @module
 */
import { MAXIMUM_COLLATERAL_BYTES } from "../attestation/collateral.ts";
import { runErrands } from "../channel/errands.ts";
import { proveChannelBinding } from "../channel/finished.ts";
import { listenAtFront } from "../channel/relay_front.ts";
import type { ChannelServer } from "../channel/server.ts";
import type { Clock } from "../platform/clock.ts";
import { serveDials } from "../platform/dialing.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import { documentClient } from "../platform/fetch_document.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";

/** The number by which front and signer name the service. */
export const JOIN_SERVICE_NUMBER = 2;
/**
 * A thousand machines that boot at once all find a place. A waiting connection costs some ten kilobytes, and a file.
 * The unit's LimitNOFILE= leaves room for more files than these, because the process does not survive a lack of them.
 */
export const MAXIMUM_CONNECTIONS = 2048;
/** A request holds two CSRs, a quote and an EK certificate: some kilobytes together. */
export const MAXIMUM_MESSAGE_LENGTH: number = 32 * 1024;

/** Where kubeadm has etcd listen for clients. The signer calls the members of other machines through the front. */
const ETCD_PORT = 2379;

/** What the front of a join service works with. */
export interface JoinFrontDependencies {
  /** Where to listen; port 0 lets the kernel choose one. */
  readonly listen: Endpoint;
  /** The signer's socket. */
  readonly socket: string;
  /** The socket for the signer's connections to other members of etcd. */
  readonly dialer: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The CAs of the servers with documents, PEM. Default: the public CAs. */
  readonly documentCas?: readonly string[];
}

/** Listens for nodes. */
export function listenForNodes(
  { listen, socket, log }: Pick<JoinFrontDependencies, "listen" | "socket" | "log">,
): Promise<ChannelServer> {
  return listenAtFront({
    ...listen,
    path: socket,
    service: JoinServiceService,
    serviceNumber: JOIN_SERVICE_NUMBER,
    maximumConnections: MAXIMUM_CONNECTIONS,
    maximumMessageLength: MAXIMUM_MESSAGE_LENGTH,
    log,
  });
}

/**
 * Listens until the signal. A signer that is not there yet, or is started again, is no failure: the nodes ask again.
 *
 * @throws {BootstrapError} `system/listen`, `internal/channel-binding`.
 */
export async function runJoinFront(dependencies: JoinFrontDependencies, signal: AbortSignal): Promise<void> {
  await proveChannelBinding();
  const { listen, socket, dialer, clock, log, documentCas } = dependencies;
  const maximumDocumentBytes = MAXIMUM_COLLATERAL_BYTES;
  using documents = documentClient({
    ...{ maximumBytes: maximumDocumentBytes, clock },
    ...present("caCertificates", documentCas),
  });
  await using server = await listenForNodes(dependencies);
  log.event("info", "join-service-started", { listen: endpointText(listen), port: server.port });
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  try {
    await Promise.all([
      server.watch(clock, end),
      serveDials({ path: dialer, port: ETCD_PORT, clock }, end),
      runErrands({ path: socket, maximumDocumentBytes, fetch: documents.fetch, clock, log }, end),
    ]);
  } finally {
    failed.abort();
  }
  log.event("info", "join-service-stopped");
}
