/**
 * The command `bootstrapper join-service front`. It reads nothing but the address to listen on.
 *
 * @module
 */
import { runJoinFront } from "../../service/front.ts";
import { readServiceListen } from "../../service/service_state.ts";
import type { CliContext } from "../context.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `join-service front`. */
export interface JoinFrontOptions {
  /** The folder with the state of the service. */
  readonly folder: string;
  /** The signer's socket. */
  readonly socket: string;
  /** The socket for the signer's connections to other members of etcd. */
  readonly dialer: string;
}

/** Runs the front until it is stopped. */
export async function joinFront({ folder, ...sockets }: JoinFrontOptions, { clock, log }: CliContext): Promise<void> {
  using termination = terminationSignal();
  await runJoinFront({ listen: await readServiceListen(folder), ...sockets, clock, log }, termination.signal);
}
