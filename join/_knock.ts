import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { abortable, onAbort } from "../platform/abortable.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, hasCode } from "../platform/errors.ts";
import { unresolvedName } from "../platform/reach.ts";

/** Returns the addresses of a host name, at least one. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** What is needed to wait for a listener. */
export interface KnockOptions {
  /** Sleeps between the knocks, and measures the wait. */
  readonly clock: Clock;
  /** Ends the wait, with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called with the reason why there is no listener, once: a dead host gives a different reason each time. */
  readonly onFailure: (error: BootstrapError) => void;
  /** Default: as the system does. */
  readonly resolve?: Resolve;
}

/**
 * The time between two knocks. A start is noticed within 1.5 seconds, however long the node has waited. Where nothing
 * listens, a knock costs no service anything: the kernel of the machine refuses it, or nobody does.
 */
const FIRST_INTERVAL_MS = 300;
const LONGEST_INTERVAL_MS = 900;
/**
 * A name is asked for again after this share of the time that the node has waited, and at least after the longest time:
 * unlike a closed port, a name server works for each question.
 */
const SHARE_OF_WAIT = 1 / 20;
const LONGEST_NAME_INTERVAL_MS = 75_000;
/** How far an interval may vary, as a fraction, so that many nodes do not knock in step. */
const JITTER = 1 / 3;
/**
 * How long a knock waits for an answer. Others follow meanwhile, because a host that comes up answers new knocks first.
 */
const KNOCK_DEADLINE_MS = 1_500;
/**
 * The most knocks under way at one endpoint. The resolution of a name cannot be stopped, so a knock may outlast its
 * deadline.
 */
const MAXIMUM_PENDING = 8;
/** The most addresses of a name that are knocked at. */
const MAXIMUM_ADDRESSES = 16;

/**
 * Returns the time until the next knock, milliseconds.
 *
 * @param waitedMs How long the node has waited.
 * @param random From 0 to 1.
 */
export function knockIntervalMs(waitedMs: number, random: number): number {
  return shareOfWaitMs(waitedMs, LONGEST_INTERVAL_MS, random);
}

/** Returns the time until a name is asked for again, milliseconds, as {@linkcode knockIntervalMs} does. */
export function nameIntervalMs(waitedMs: number, random: number): number {
  return shareOfWaitMs(waitedMs, LONGEST_NAME_INTERVAL_MS, random);
}

function shareOfWaitMs(waitedMs: number, longestMs: number, random: number): number {
  const intervalMs = Math.min(longestMs, Math.max(FIRST_INTERVAL_MS, waitedMs * SHARE_OF_WAIT));
  return Math.round(intervalMs * (1 - JITTER + 2 * JITTER * random));
}

/**
 * Waits until there is a listener at an endpoint. It opens TCP connections and closes them at once, again and again,
 * which costs the listener next to nothing.
 */
export async function waitForListener(endpoint: Endpoint, options: KnockOptions): Promise<void> {
  const { clock, signal, onFailure } = options;
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const pending = new Set<Promise<void>>();
  const name = new AskedName(endpoint.host, clock, options.resolve);
  let answered = false;
  let isReported = false;
  const knock = async () => {
    const error = await knockOnce(endpoint, name, end);
    if (end.aborted) return;
    if (error === undefined) {
      answered = true;
      over.abort();
    } else if (!isReported) {
      isReported = true;
      onFailure(error);
    }
  };
  const startMs = clock.monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    if (pending.size >= MAXIMUM_PENDING) await Promise.race(pending);
    const knocking = knock().finally(() => pending.delete(knocking));
    pending.add(knocking);
    await clock.sleep(knockIntervalMs(clock.monotonicMs() - startMs, Math.random()), end).catch(() => {});
    if (answered) return;
  }
}

/** Opens a connection to each address of a host at once, and returns the reason if all fail. */
async function knockOnce(
  { host, port }: Endpoint,
  name: AskedName,
  signal: AbortSignal,
): Promise<BootstrapError | undefined> {
  const where = endpointText({ host, port });
  // Not AbortSignal.any(): knocking goes on for hours, and the signal would retain everything that depends on it.
  const stop = new AbortController();
  const deadline = setTimeout(() => stop.abort(), KNOCK_DEADLINE_MS);
  using _stopping = onAbort(signal, () => stop.abort());
  try {
    const addresses = await abortable(name.addresses(), stop.signal).catch((cause: unknown) => {
      throw stop.signal.aborted ? cause : unresolvedName(host, cause);
    });
    await Promise.any(addresses.map(async (hostname) => {
      const connection = await Deno.connect({ hostname, port, signal: stop.signal });
      connection.close();
    }));
    return undefined;
  } catch (thrown) {
    if (hasCode(thrown, "unavailable/name-resolution")) return asBootstrapError(thrown);
    // One of several addresses is as good a reason as any.
    const [cause = thrown] = thrown instanceof AggregateError ? thrown.errors : [];
    return stop.signal.aborted
      ? new BootstrapError("timeout/connect", `Nothing answers at ${where}`, { cause })
      : new BootstrapError("unavailable/connection", `Nothing listens at ${where}`, { cause });
  } finally {
    clearTimeout(deadline);
    stop.abort();
  }
}

/** The addresses of a host, asked for again from time to time. */
class AskedName {
  readonly #host: string;
  readonly #clock: Clock;
  readonly #resolve: Resolve;
  readonly #startMs: number;
  #asking: Promise<readonly string[]> | undefined;
  #known: readonly string[] | undefined;
  /** The last failure, while no address is known. */
  #failed: Promise<readonly string[]> = Promise.resolve([]);
  #nextMs = -Infinity;

  constructor(host: string, clock: Clock, resolve: Resolve = resolveName) {
    this.#host = host;
    this.#clock = clock;
    this.#resolve = resolve;
    this.#startMs = clock.monotonicMs();
  }

  /** @throws What the last resolution threw. */
  addresses(): Promise<readonly string[]> {
    if (isIP(this.#host) !== 0) return Promise.resolve([this.#host]);
    const nowMs = this.#clock.monotonicMs();
    if (this.#asking === undefined && nowMs >= this.#nextMs) {
      this.#nextMs = nowMs + nameIntervalMs(nowMs - this.#startMs, Math.random());
      this.#asking = this.#ask();
      this.#asking.catch(() => {});
    }
    return this.#known === undefined ? this.#asking ?? this.#failed : Promise.resolve(this.#known);
  }

  /** One question at a time. A name server that fails later takes no address away. */
  async #ask(): Promise<readonly string[]> {
    try {
      return this.#known = await this.#resolve(this.#host);
    } catch (error) {
      this.#failed = Promise.reject(error);
      this.#failed.catch(() => {});
      throw error;
    } finally {
      this.#asking = undefined;
    }
  }
}

async function resolveName(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).slice(0, MAXIMUM_ADDRESSES).map(({ address }) => address);
}
