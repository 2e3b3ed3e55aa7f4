/**
 * The search for a ticket. The node asks all endpoints at once, each again and again, until one service gives a ticket.
 *
 * @module
 */
import { PeerError } from "../protocol/refusal.ts";
import { dial } from "../channel/client.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { abortable, onAbort } from "../platform/abortable.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import { followEndpoints, systemNames } from "../platform/follow_endpoints.ts";
import type { FollowedEndpoints, NameService } from "../platform/follow_endpoints.ts";
import { equalBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import type { Log } from "../platform/log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { hintedPauseMs, pauseAfterMs } from "./_backoff.ts";
import type { Setback } from "./_backoff.ts";
import { EndpointLoops } from "./_endpoint_loops.ts";
import type { EndpointLoop, LastFailure } from "./_endpoint_loops.ts";
import { nameIntervalMs, waitForListener } from "./_knock.ts";
import { isForeign, noteSource } from "./_sources.ts";
import type { JoiningNode } from "./exchange_client.ts";
import { obtainTicket } from "./exchange_client.ts";
import type { Ticket, TicketTurn } from "./ticket.ts";
import { drop, turnOf } from "./_turn.ts";

/** The failure of the last attempt at one endpoint. */
export interface EndpointFailure {
  /** `host:port`. */
  readonly endpoint: string;
  /** Whether no service answered, or a service refused. */
  readonly kind: "unreachable" | "refused";
  readonly error: BootstrapError;
}

/** What a search works with. */
export interface TicketSearchOptions {
  /** The join services to ask. Names in DNS are followed, and the node's own addresses among theirs left out. */
  readonly endpoints: readonly EndpointSource[];
  /** The node that asks. The search itself records the clusters that services show. */
  readonly node: Omit<JoiningNode, "noteFounded" | "exclusively">;
  /** Sleeps between attempts. */
  readonly clock: Clock;
  /** Records refusals, each once. A refusal that only people can change is logged as an error. */
  readonly log: Log;
  /**
   * Called with every failed attempt. While nothing listens at an endpoint, called only when that or its reason is new.
   */
  readonly onFailure?: (failure: EndpointFailure) => void;
  /** Called when the endpoints of a name have changed, or the reason why they are not known. */
  readonly onSource?: (followed: FollowedEndpoints) => void;
  /** What names are asked of. Default: as the rest of the machine asks. */
  readonly names?: NameService;
}

const JOIN_SERVICE_PORT = 9444;
/** How long a busy service may let a handshake wait. It is known that something listens. */
const CONNECT_DEADLINE_MS = 30_000;
/** A service that is dead or cut off is given up after twice this silence. */
const KEEP_ALIVE_MS = 4_000;
/**
 * How long a service may be alive without progress before another one is asked as well. An answer takes less than a
 * second, and the evidence for it some seconds on a slow TPM.
 */
const HAND_OVER_MS = 30_000;
/** Refusals that hold for all services of a cluster, so that asking another service meanwhile is of no use. */
const SHARED_CODES: readonly AnyErrorCode[] = ["unavailable/control-plane-queue", "unavailable/busy"];

/** One search, or several searches of the same node. It never forgets the clusters that it has seen. */
export class TicketSearch {
  readonly #options: TicketSearchOptions;
  readonly #founded: Uint8Array[] = [];
  readonly #finalSeen = new Set<string>();
  #lastTurn: Promise<unknown> = Promise.resolve();
  #quietUntilMs = 0;

  /** Creates a search that has not asked yet. */
  constructor(options: TicketSearchOptions) {
    this.#options = options;
  }

  /** The error that two clusters of the node's name were founded, if that was seen. The node must join neither. */
  get conflict(): BootstrapError | undefined {
    if (this.#founded.length < 2) return undefined;
    const [expected = "", ...seen] = this.#founded.map(clusterIdText);
    const { clusterName, founding } = this.#options.node.trust;
    const without = founding === undefined ? "" : ", and leave out trust.founding";
    const message = `Two clusters were founded under the name ${clusterName}: ${[expected, ...seen].join(" and ")}`;
    return new BootstrapError("conflict/two-foundings", message, {
      next: `Set trust.clusterId in the node's configuration to the ID of the cluster that it is to join${without}`,
      details: { check: "founding", expected, seen: seen.join(" ") },
    });
  }

  /**
   * Asks until there is a ticket. The other exchanges are over when this returns.
   *
   * @throws {BootstrapError} `conflict/two-foundings`, `aborted/ticket-search`, `system/…` if this machine's own device
   *   or disk fails. A refusal never ends the search.
   */
  async run(signal: AbortSignal): Promise<Ticket> {
    const over = new AbortController();
    const any = AbortSignal.any([signal, over.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<Ticket>();
    using _stopping = onAbort(signal, () => {
      reject(new BootstrapError("aborted/ticket-search", "The search for a ticket was stopped"));
    });
    let isOver = false;
    const take = (ticket: Ticket) => {
      if (isOver) drop(ticket);
      else resolve(ticket);
      isOver = true;
    };
    const loops: EndpointLoops = new EndpointLoops(this.#options.clock, async (loop) => {
      await this.#ask(loop, () => loops.listening, any).then((ticket) => ticket && take(ticket), reject);
    });
    const following = this.#follow(loops, any).catch(reject);
    try {
      return await promise;
    } finally {
      isOver = true;
      over.abort();
      await Promise.all([loops.end(), following]);
    }
  }

  /** Lets the loops ask what the sources have, until the signal. */
  #follow(loops: EndpointLoops, signal: AbortSignal): Promise<never> {
    const { endpoints, names = systemNames, clock, log, node: { self }, onSource } = this.#options;
    const startMs = clock.monotonicMs();
    return followEndpoints({
      sources: endpoints,
      names,
      clock,
      intervalMs: () => nameIntervalMs(clock.monotonicMs() - startMs, Math.random()),
      isUsed: (address) => isForeign(address, self),
      onSource: (followed) => {
        noteSource(log, followed);
        onSource?.(followed);
      },
      onEndpoints: (found) => loops.ask(found),
    }, signal);
  }

  /** Asks one endpoint until there is a ticket; there is none if the endpoint is left. */
  async #ask(loop: EndpointLoop, listening: () => number, signal: AbortSignal): Promise<Ticket | undefined> {
    const { clock } = this.#options;
    const { endpoint, where } = loop;
    const report = (error: BootstrapError) => this.#noteFailure(loop, error);
    for (;;) {
      signal.throwIfAborted();
      const { left } = loop;
      if (left.aborted) return undefined;
      try {
        const pauseMs = Math.ceil(loop.pauseUntilMs - clock.monotonicMs());
        if (pauseMs > 0) await clock.sleep(pauseMs, left);
        loop.pauseUntilMs = 0;
        // A service that has just refused does listen: it is spared the knock.
        loop.listens &&= loop.last?.setback !== "unreachable";
        if (!loop.listens) await waitForListener(endpoint, { clock, signal: left, onFailure: report });
        loop.listens = true;
        await this.#untilOthersMayBeAsked(left);
      } catch (error) {
        if (left.aborted) continue;
        throw error;
      }
      const attempt: Attempt = { isFounded: false };
      try {
        return await this.#askOnce(where, attempt, signal);
      } catch (cause) {
        signal.throwIfAborted();
        if (this.conflict !== undefined) throw this.conflict;
        const error = asBootstrapError(cause);
        if (error === attempt.givenUp) continue;
        // This machine failed, and no service is to blame for it: its TPM stays broken for this process.
        if (isOwnFailure(error)) throw error;
        const { setback, count } = report(error);
        const failed = { error, setback, count, isFounded: attempt.isFounded, among: listening() };
        loop.pauseUntilMs = clock.monotonicMs() + pauseAfterMs(failed, Math.random());
      }
    }
  }

  #noteFailure(loop: EndpointLoop, error: BootstrapError): LastFailure {
    const { where: endpoint, last } = loop;
    const setback = setbackOf(error);
    this.#report({ endpoint, error, kind: setback === "unreachable" ? setback : "refused" }, {
      isNew: last?.code !== error.code,
      isFinal: setback === "final",
    });
    return loop.last = { setback, code: error.code, count: last?.setback === setback ? last.count + 1 : 1 };
  }

  async #untilOthersMayBeAsked(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      const leftMs = this.#quietUntilMs - clock.monotonicMs();
      if (leftMs <= 0) return;
      await clock.sleep(leftMs, signal);
    }
  }

  async #askOnce(endpoint: string, attempt: Attempt, signal: AbortSignal): Promise<Ticket> {
    // A separate controller, because a turn outlives the search.
    const call = new AbortController();
    using _hangingUp = onAbort(signal, () => call.abort());
    const dialled = await dial<JoinServerMessage, JoinClientMessage>({
      method: JoinServiceService.join,
      endpoint,
      signal: call.signal,
      expected: { name: "the join service", usualPort: JOIN_SERVICE_PORT },
      connectDeadlineMs: CONNECT_DEADLINE_MS,
      keepAliveMs: KEEP_ALIVE_MS,
    });
    const asking = obtainTicket(dialled.exchange, {
      ...this.#options.node,
      noteFounded: (clusterId) => this.#noteFounded(clusterId),
      exclusively: (work) => this.#exclusively(work, attempt, signal),
    });
    let turn: TicketTurn | undefined;
    try {
      // The work of a TPM cannot be stopped. Nothing waits for it after the signal.
      const ticket = await abortable(asking, signal);
      if (ticket.kit === undefined) return ticket;
      turn = turnOf(dialled);
      return { ...ticket, turn };
    } catch (error) {
      // A ticket that still arrives is dropped.
      asking.then(drop, () => {});
      throw error;
    } finally {
      if (turn === undefined) dialled[Symbol.dispose]();
    }
  }

  #noteFounded(clusterId: Uint8Array): void {
    if (!this.#founded.some((known) => equalBytes(known, clusterId))) this.#founded.push(clusterId);
    if (this.conflict !== undefined) throw this.conflict;
  }

  /**
   * Runs work in turn. Work that takes long continues alongside the next. The service has proven that it belongs to the
   * node's cluster.
   */
  #exclusively<T>(work: () => Promise<T>, attempt: Attempt, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    attempt.isFounded = true;
    const begun = Promise.withResolvers<void>();
    const turn = this.#lastTurn.then(() => {
      begun.resolve();
      signal.throwIfAborted();
      if (this.#quietUntilMs <= clock.monotonicMs()) return work().catch((error) => this.#noteHint(error));
      throw attempt.givenUp = new BootstrapError("aborted/ticket-search", "The services are not to be asked just now");
    });
    const over = new AbortController();
    const ended = turn.then(() => over.abort(), () => over.abort());
    const patience = begun.promise.then(() => clock.sleep(HAND_OVER_MS, over.signal)).catch(() => {});
    this.#lastTurn = Promise.race([ended, patience]);
    return turn;
  }

  /** A service's hint counts only in the service's turn: an impostor must not keep the node from the other services. */
  #noteHint(cause: unknown): never {
    const error = asBootstrapError(cause);
    const hintMs = hintedPauseMs(error, Math.random());
    if (hintMs !== undefined && SHARED_CODES.includes(error.code)) {
      this.#quietUntilMs = Math.max(this.#quietUntilMs, this.#options.clock.monotonicMs() + hintMs);
    }
    throw error;
  }

  /** Reports a failure; the same refusal again and again is one event. */
  #report(failure: EndpointFailure, { isNew, isFinal }: { readonly isNew: boolean; readonly isFinal: boolean }): void {
    const { endpoint, kind, error } = failure;
    const seen = `${endpoint} ${error.code}`;
    const isRepeated = isFinal ? this.#finalSeen.has(seen) : !isNew;
    if (isFinal) this.#finalSeen.add(seen);
    const level = isRepeated ? "debug" : isFinal ? "error" : kind === "refused" ? "warn" : "info";
    this.#options.log.event(level, `join-endpoint-${kind}`, { ...errorFields(error), endpoint });
    this.#options.onFailure?.(failure);
  }
}

/** One attempt at one service. */
interface Attempt {
  /** Whether the service has proven that it belongs to the node's cluster. */
  isFounded: boolean;
  /** Why this side ended the attempt, if the reason says nothing about the service. */
  givenUp?: BootstrapError;
}

/** Whether this machine itself has failed, such as its TPM. */
export function isOwnFailure(error: BootstrapError): boolean {
  return errorFamily(error.code) === "system" && !(error instanceof PeerError);
}

/** A refusal is an error that the peer sent. Any other retriable error comes from the connection. */
function setbackOf(error: BootstrapError): Setback {
  const { code, retriable } = error;
  if (error instanceof PeerError) return retriable ? "refused" : "final";
  return retriable || code === "aborted/call" ? "unreachable" : "final";
}
