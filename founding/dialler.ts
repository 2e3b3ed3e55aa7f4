/**
 * Dials every address of the other founders, in parallel, for ever. A pair needs one exchange: an address whose founder
 * is heard already is dialled no further.
 *
 * @module
 */
import { dial } from "../channel/client.ts";
import type { Clock } from "../platform/clock.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import type { BackOff } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";
import { FoundingServiceService } from "../proto/gen/bootstrapper.ts";
import type { FoundClientMessage, FoundServerMessage } from "../proto/gen/bootstrapper.ts";
import { followAddresses } from "./discovery.ts";
import type { Resolve } from "./discovery.ts";
import { meetFounder, yieldsTo } from "./exchange_client.ts";
import type { FoundClientExchange, Founder, MetFounder } from "./founder.ts";

/** The port of a FoundingServer. */
export const FOUNDING_PORT = 9443;
const CONNECT_DEADLINE_MS = 5_000;
const BACK_OFF: BackOff = Object.freeze({ firstMs: 200, factor: 1.6, longestMs: 5_000, jitter: 0.2 });
/** How long an own address rests, unless it resolves anew. */
const SELF_REST: BackOff = Object.freeze({ firstMs: 60_000, factor: 1, longestMs: 60_000, jitter: 0.2 });
/** How often it is looked whether a founder that is heard on another stream still is, milliseconds. */
const LOOK_MS = 1_000;
/** The longest pause that a peer may ask for, seconds. */
const LONGEST_HINT_SECONDS = 15;

/** What became of the dials of one address. */
export interface DialState {
  /** `host:port`. */
  readonly endpoint: string;
  /** Since when it is so, by the steady clock, milliseconds. */
  readonly sinceMs: number;
  /** The name of the founder that answers there, while it does. */
  readonly met?: string;
  /** Why there is no founder. */
  readonly error?: BootstrapError;
}

/** What the dialler works with. */
export interface DiallerOptions {
  readonly own: Founder;
  /** Where the other founders are: IP addresses, or names that are resolved again and again. */
  readonly peers: readonly Endpoint[];
  readonly resolve: Resolve;
  readonly clock: Clock;
  /** Gets one line for each change. */
  readonly log: Log;
  /** Random numbers from 0 to 1. */
  readonly random: () => number;
  /** Whether the founder of an instance, hexadecimal, is heard. */
  isHeard(instance: string): boolean;
  /** Whether the own server verifies the founder of an instance now. */
  isVerifying(instance: string): boolean;
  /** Goes on with a founder that was met, until the stream ends. Throws why. */
  converse(met: MetFounder, exchange: FoundClientExchange): Promise<never>;
  /** Called when the state of an address has changed. */
  onChange(): void;
}

/** The addresses that are dialled, and what became of it. */
export class Dials {
  /** By what dials: an address that comes back while its founder is still heard is dialled by two. */
  readonly #states = new Map<object, DialState>();

  /** All addresses, in the order in which they came. */
  get states(): readonly DialState[] {
    return [...this.#states.values()];
  }

  /** Notes what became of an address. */
  set(dialler: object, state: DialState): void {
    this.#states.set(dialler, state);
  }

  /** Forgets an address. */
  delete(dialler: object): void {
    this.#states.delete(dialler);
  }
}

/** Dials until the signal. */
export async function dialFounders(options: DiallerOptions, dials: Dials, signal: AbortSignal): Promise<never> {
  const { peers, resolve, clock, log } = options;
  const loops = new Map<string, DialLoop>();
  const onAddresses = (addresses: readonly Endpoint[]) => {
    const wanted = new Set(addresses.map(endpointText));
    for (const [endpoint, loop] of loops) {
      if (wanted.has(endpoint)) continue;
      loops.delete(endpoint);
      loop.leave();
    }
    for (const endpoint of wanted) {
      if (loops.has(endpoint)) continue;
      const loop = new DialLoop(endpoint, options, dials);
      loops.set(endpoint, loop);
      loop.run(signal);
    }
    options.onChange();
  };
  return await followAddresses({ peers, resolve, clock, log, onAddresses }, signal);
}

/** The dials of one address. */
class DialLoop {
  readonly #endpoint: string;
  readonly #options: DiallerOptions;
  readonly #dials: Dials;
  readonly #leaving = new AbortController();
  #isMet = false;
  #hasYielded = false;
  #neededNot = "";

  constructor(endpoint: string, options: DiallerOptions, dials: Dials) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#dials = dials;
  }

  /** Ends the dials. A founder that is met there stays until its stream ends. */
  leave(): void {
    this.#leaving.abort(new BootstrapError("aborted/dial", `${this.#endpoint} is no address of a founder any more`));
    if (!this.#isMet) this.#dials.delete(this);
  }

  run(signal: AbortSignal): void {
    const { clock, random, log } = this.#options;
    this.#dials.set(this, { endpoint: this.#endpoint, sinceMs: clock.monotonicMs() });
    let last = "";
    const left = AbortSignal.any([signal, this.#leaving.signal]);
    const dialling = retry((startOver) => this.#try(startOver, signal, left), {
      ...{ clock, random, signal: left, backOff: backOffOf },
      isRetriable: () => true,
      onFailedTry: ({ error }) => {
        if (error.code === "aborted/founder-met") {
          // The founder is heard, so what failed here before is over.
          if (last !== "") this.#note({});
          last = "";
          return;
        }
        if (error.code !== last) {
          this.#note({ error });
          log.event(error.code === "conflict/self-dial" ? "info" : "warn", "founder-not-met", {
            ...errorFields(error),
            endpoint: this.#endpoint,
          });
        }
        last = error.code;
      },
    });
    dialling.catch(() => {}).finally(() => this.#dials.delete(this));
  }

  async #try(startOver: () => void, signal: AbortSignal, left: AbortSignal): Promise<never> {
    const { own, clock, log, converse, isHeard } = this.#options;
    while (this.#neededNot !== "" && isHeard(this.#neededNot)) await clock.sleep(LOOK_MS, left);
    this.#neededNot = "";
    const restMs = own.attestation?.rate.waitMs(this.#endpoint) ?? 0;
    if (restMs > 0) await clock.sleep(restMs, left);
    using dialled = await dial<FoundServerMessage, FoundClientMessage>({
      ...{ method: FoundingServiceService.found, endpoint: this.#endpoint, signal },
      connectDeadlineMs: CONNECT_DEADLINE_MS,
      expected: { name: "the FoundingServer", usualPort: FOUNDING_PORT },
    });
    const isNeedless = (instance: string) => this.#isNeedless(instance);
    const met = await meetFounder(dialled.exchange, own, { endpoint: this.#endpoint, isNeedless });
    startOver();
    const { name, address } = met.entry;
    log.event("info", "founder-met", { endpoint: this.#endpoint, name, address, identity: met.entry.identity });
    this.#isMet = true;
    this.#note({ met: name });
    try {
      return await converse(met, dialled.exchange);
    } finally {
      this.#isMet = false;
      this.#note({});
    }
  }

  #isNeedless(instance: string): boolean {
    const { own, isHeard, isVerifying } = this.#options;
    if (isHeard(instance)) {
      this.#neededNot = instance;
      return true;
    }
    // Only every other time: a stranger who claims to be that instance must not keep this machine from dialling.
    this.#hasYielded = !this.#hasYielded && isVerifying(instance) && yieldsTo(own.instance, instance);
    return this.#hasYielded;
  }

  #note(state: Pick<DialState, "met" | "error">): void {
    const { clock, onChange } = this.#options;
    this.#dials.set(this, { endpoint: this.#endpoint, sinceMs: clock.monotonicMs(), ...state });
    onChange();
  }
}

function backOffOf(error: BootstrapError): BackOff {
  if (error.code === "conflict/self-dial") return SELF_REST;
  const { retriable, retryAfterSeconds = 0 } = asBootstrapError(error);
  if (!retriable || retryAfterSeconds < 1 || retryAfterSeconds > LONGEST_HINT_SECONDS) return BACK_OFF;
  const pauseMs = retryAfterSeconds * 1_000;
  return { firstMs: pauseMs, factor: 1, longestMs: pauseMs, jitter: 0 };
}
