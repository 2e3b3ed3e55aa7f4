/**
 * The FoundingServer: other founders dial it.
 *
 * @module
 */
import { listen } from "../channel/server.ts";
import { onAbort } from "../platform/abortable.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { FoundingServiceService } from "../proto/gen/bootstrapper.ts";
import type { FoundSession } from "./exchange_server.ts";
import { answerFounder } from "./exchange_server.ts";
import type { Founder, FoundServerExchange, MetFounder } from "./founder.ts";

/** Why a hello was refused. */
export type HelloRefusal = "stranger" | "trust" | "self" | "malformed" | "other";

/** What the server works with. */
export interface FoundingServerOptions {
  readonly own: Founder;
  /** The local address. Port 0 lets the kernel choose one. */
  readonly listen: Endpoint;
  readonly log: Log;
  /** Goes on with a founder that was met, until the stream ends. Throws why. */
  converse(met: MetFounder, exchange: FoundServerExchange): Promise<never>;
  /** Called with the port when the server listens. */
  onListening(port: number): void;
}

const MAXIMUM_CONNECTIONS = 128;

/** Answers other founders. */
export class FoundingServer {
  readonly #options: FoundingServerOptions;
  readonly #refused: Record<HelloRefusal, number> = { stranger: 0, trust: 0, self: 0, malformed: 0, other: 0 };
  /** How many exchanges are under way by the instance that the peer says it is. */
  readonly #verifying = new Map<string, number>();

  /** Makes a server that does not listen yet. */
  constructor(options: FoundingServerOptions) {
    this.#options = options;
  }

  /** The number of hellos that were refused, by reason: `founding_hello_refused_total{reason}`. */
  get refusedHellos(): Readonly<Record<HelloRefusal, number>> {
    return { ...this.#refused };
  }

  /** Whether a founder that says it is this instance, hexadecimal, is being verified. */
  isVerifying(instance: string): boolean {
    return this.#verifying.has(instance);
  }

  /**
   * Listens until the signal.
   *
   * @throws {BootstrapError} `system/listen`; the signal's reason.
   */
  async run(signal: AbortSignal): Promise<never> {
    const { listen: { host, port }, log, own: { clock }, onListening } = this.#options;
    const handle = (session: FoundSession) => this.#serve(session, signal);
    const service = FoundingServiceService;
    const server = await listen({ service, host, port, maximumConnections: MAXIMUM_CONNECTIONS, handle, log });
    try {
      onListening(server.port);
      await server.watch(clock, signal);
      signal.throwIfAborted();
      throw new BootstrapError("system/listen", `The FoundingServer at ${host}:${port} has ended`);
    } finally {
      await server.close();
    }
  }

  async #serve(session: FoundSession, signal: AbortSignal): Promise<void> {
    const { own, converse, log } = this.#options;
    const { exchange } = session;
    using _closing = onAbort(signal, () => exchange.close(asBootstrapError(signal.reason)));
    let heard: string | undefined;
    const met = await answerFounder(session, own, {
      onHello: (instance) => {
        heard = instance;
        this.#verifying.set(instance, (this.#verifying.get(instance) ?? 0) + 1);
      },
    }).catch((error) => {
      if (heard === undefined) this.#count(asBootstrapError(error));
      throw error;
    }).finally(() => this.#end(heard));
    const { entry: { name, address, identity } } = met;
    log.event("info", "founder-met", { peer: exchange.peerAddress, name, address, identity });
    await converse(met, exchange);
  }

  #end(instance: string | undefined): void {
    if (instance === undefined) return;
    const left = (this.#verifying.get(instance) ?? 1) - 1;
    if (left > 0) this.#verifying.set(instance, left);
    else this.#verifying.delete(instance);
  }

  #count({ code }: BootstrapError): void {
    // A peer that is gone, or silent, has said nothing that could be refused.
    const family = errorFamily(code);
    if (family === "unavailable" || family === "timeout" || family === "aborted") return;
    const reason: HelloRefusal = code === "unauthorized/founder"
      ? "stranger"
      : code === "refused/founding-trust"
      ? "trust"
      : code === "conflict/self-dial"
      ? "self"
      : family === "malformed" || family === "protocol"
      ? "malformed"
      : "other";
    this.#refused[reason]++;
  }
}
