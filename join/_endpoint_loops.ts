/**
 * The endpoints that a search asks, each in a loop of its own. They come and go while it lasts.
 *
 * @module
 */
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import type { Clock } from "../platform/clock.ts";
import { Recent } from "../platform/recent.ts";
import type { Setback } from "./_backoff.ts";

/** How many endpoints are asked side by side. */
export const MAXIMUM_ENDPOINTS = 64;
/** An endpoint that goes and comes again within this time is no new one. */
const MEMORY = Object.freeze({ ageMs: 10 * 60_000, maximum: 4 * MAXIMUM_ENDPOINTS });

/** The failure of the last attempt, and how many there were in a row for that reason. */
export interface LastFailure {
  readonly setback: Setback;
  readonly code: string;
  readonly count: number;
}

/** The loop at one endpoint. */
export class EndpointLoop {
  readonly endpoint: Endpoint;
  /** `host:port`. */
  readonly where: string;
  last: LastFailure | undefined;
  /** Until when it pauses, by the steady clock, milliseconds. */
  pauseUntilMs = 0;
  /** Whether there is a listener, as far as it is known. */
  listens = false;
  #leaving = new AbortController();

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.where = endpointText(endpoint);
  }

  /** Aborts when the endpoint is no longer to be asked. An attempt that is under way goes on. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Ends the loop's waiting. */
  leave(): void {
    this.#leaving.abort();
  }

  /** Lets a loop go on whose endpoint has come back before the loop ended. */
  comeBack(): void {
    if (this.left.aborted) this.#leaving = new AbortController();
  }
}

/** Runs a loop for each endpoint. */
export class EndpointLoops {
  readonly #begin: (loop: EndpointLoop) => Promise<void>;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #running = new Map<string, { readonly loop: EndpointLoop; readonly end: Promise<void> }>();
  readonly #earlier = new Recent<EndpointLoop>(MEMORY);

  /** @param begin Asks until there is a ticket, or the endpoint is left; it never rejects. */
  constructor(clock: Pick<Clock, "monotonicMs">, begin: (loop: EndpointLoop) => Promise<void>) {
    this.#clock = clock;
    this.#begin = begin;
  }

  /** How many endpoints have a listener that gave no ticket. */
  get listening(): number {
    return [...this.#running.values()].filter(({ loop }) => loop.listens).length;
  }

  /** Asks these endpoints from now on: at most 64, the first. */
  ask(endpoints: readonly Endpoint[]): void {
    const wanted = new Map(endpoints.slice(0, MAXIMUM_ENDPOINTS).map((one) => [endpointText(one), one]));
    for (const [where, { loop }] of this.#running) if (!wanted.has(where)) loop.leave();
    for (const [where, endpoint] of wanted) {
      const running = this.#running.get(where);
      if (running !== undefined) running.loop.comeBack();
      else this.#run(this.#earlier.get(where, this.#clock.monotonicMs()) ?? new EndpointLoop(endpoint));
    }
  }

  /** Ends all loops, and waits for them. */
  async end(): Promise<void> {
    for (const { loop } of this.#running.values()) loop.leave();
    await Promise.all([...this.#running.values()].map(({ end }) => end));
  }

  #run(loop: EndpointLoop): void {
    loop.comeBack();
    const end = this.#begin(loop).finally(() => {
      this.#running.delete(loop.where);
      this.#earlier.set(loop.where, loop, this.#clock.monotonicMs());
    });
    this.#running.set(loop.where, { loop, end });
  }
}
