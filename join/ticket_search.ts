/**
 * The search for a ticket: all endpoints at once, each again and again, until one service gives one.
 *
 * @module
 */
import { dial } from "../attestation/channel/client.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { Endpoint } from "../node/endpoint.ts";
import { endpointText } from "../node/endpoint.ts";
import { equalBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import type { Log } from "../platform/log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { backoffMs } from "./_backoff.ts";
import type { Setback } from "./_backoff.ts";
import type { JoiningNode } from "./exchange_client.ts";
import { obtainTicket } from "./exchange_client.ts";
import type { Ticket } from "./ticket.ts";

/** What became of the last attempt at one endpoint. */
export interface EndpointFailure {
  /** `host:port`. */
  readonly endpoint: string;
  /** Whether a service answered, or nobody did. */
  readonly kind: "unreachable" | "refused";
  /** The error, with code, sentence and details. */
  readonly error: BootstrapError;
}

/** What a search works with. */
export interface TicketSearchOptions {
  /** Where to ask. */
  readonly endpoints: readonly Endpoint[];
  /** Who asks; what services show of clusters is gathered here. */
  readonly node: Omit<JoiningNode, "noteFounded" | "exclusively">;
  /** For the pauses between attempts. */
  readonly clock: Clock;
  /** Where refusals are written, each once. */
  readonly log: Log;
  /** Hears of every attempt that failed. */
  readonly onFailure?: (failure: EndpointFailure) => void;
}

const CONNECT_DEADLINE_MS = 10_000;

/** One search, or several of the same node: what was seen of clusters is never forgotten. */
export class TicketSearch {
  readonly #options: TicketSearchOptions;
  readonly #founded: Uint8Array[] = [];
  #lastTurn: Promise<unknown> = Promise.resolve();

  /** Nothing is asked yet. */
  constructor(options: TicketSearchOptions) {
    this.#options = options;
  }

  /** That two clusters of the node's name were founded, if that was seen: the node must join neither. */
  get conflict(): BootstrapError | undefined {
    if (this.#founded.length < 2) return undefined;
    const [expected = "", ...seen] = this.#founded.map(clusterIdText);
    const { clusterName } = this.#options.node.trust;
    const message = `Two clusters were founded under the name ${clusterName}: ${[expected, ...seen].join(" and ")}`;
    return new BootstrapError("conflict/two-foundings", message, {
      next: "Set trust.clusterId in the node's configuration to the one that it shall join",
      details: { check: "founding", expected, seen: seen.join(" ") },
    });
  }

  /**
   * Asks until there is a ticket. The other exchanges are over when this returns.
   *
   * @throws {BootstrapError} `conflict/two-foundings`, `aborted/ticket-search`. A refusal never ends the search.
   */
  async run(signal: AbortSignal): Promise<Ticket> {
    const over = new AbortController();
    const any = AbortSignal.any([signal, over.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<Ticket>();
    const stop = () => reject(new BootstrapError("aborted/ticket-search", "The search for a ticket was stopped"));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const loops = this.#options.endpoints.map((endpoint) => this.#ask(endpoint, any).then(resolve, reject));
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", stop);
      over.abort();
      await Promise.all(loops);
    }
  }

  /** Asks at one endpoint until there is a ticket. */
  async #ask({ host, port }: Endpoint, signal: AbortSignal): Promise<Ticket> {
    const { clock } = this.#options;
    const endpoint = endpointText({ host, port });
    let last: { readonly kind: Setback; readonly code: string; readonly count: number } | undefined;
    for (;;) {
      try {
        return await this.#askOnce(endpoint, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (this.conflict !== undefined) throw this.conflict;
        const failure = { endpoint, error: asBootstrapError(error), kind: setbackOf(asBootstrapError(error)) };
        this.#report(failure, last?.code !== failure.error.code);
        const count = last?.kind === failure.kind ? last.count + 1 : 1;
        last = { kind: failure.kind, code: failure.error.code, count };
        await clock.sleep(backoffMs(failure.kind, count, Math.random()), signal);
      }
    }
  }

  async #askOnce(endpoint: string, signal: AbortSignal): Promise<Ticket> {
    using dialled = await dial<JoinServerMessage, JoinClientMessage>({
      method: JoinServiceService.join,
      endpoint,
      connectDeadlineMs: CONNECT_DEADLINE_MS,
      signal,
    });
    const asking = obtainTicket(dialled.exchange, {
      ...this.#options.node,
      noteFounded: (clusterId) => this.#noteFounded(clusterId),
      exclusively: (work) => this.#exclusively(work, signal),
    });
    return await unlessAborted(asking, signal);
  }

  #noteFounded(clusterId: Uint8Array): void {
    if (!this.#founded.some((known) => equalBytes(known, clusterId))) this.#founded.push(clusterId);
    if (this.conflict !== undefined) throw this.conflict;
  }

  #exclusively<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const turn = this.#lastTurn.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  /** The same refusal again and again is one event. */
  #report(failure: EndpointFailure, isNew: boolean): void {
    const { endpoint, kind, error } = failure;
    const level = isNew && kind === "refused" ? "warn" : isNew ? "info" : "debug";
    this.#options.log.event(level, `join-endpoint-${kind}`, { ...errorFields(error), endpoint });
    this.#options.onFailure?.(failure);
  }
}

/** What a TPM does cannot be stopped; nobody waits for it after the signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function setbackOf({ code, retriable }: BootstrapError): Setback {
  return retriable && (code.startsWith("unavailable/") || code.startsWith("timeout/")) ? "unreachable" : "refused";
}
