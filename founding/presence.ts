/**
 * The two keys that hang on leases: `alive/H(SPKI)` and `leader`. They are comfort, and no safety rests on them.
 *
 * @module
 */
import { hex, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { encodeRecord } from "./_records.ts";
import { ALIVE, type DecisionView } from "./decision.ts";
import type { FounderStore } from "./etcd_client.ts";

/** What {@linkcode Presence} needs. */
export interface PresenceParts {
  readonly store: FounderStore;
  /** H(SPKI) of this founder. */
  readonly key: string;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** How long a lease lasts without its process, whole seconds. */
  readonly ttlSeconds: number;
}

/** Renewals per life of a lease. */
const RENEWALS = 4;

/** Keeps this founder's keys, and makes them anew after a loss. */
export class Presence {
  readonly #parts: PresenceParts;
  /** Tells this process from an earlier one of the same founder. */
  readonly #instance = hex(randomBytes(16));
  readonly #alive: Lease;
  readonly #leader: Lease;

  /** Sends nothing yet. */
  constructor(parts: PresenceParts) {
    this.#parts = parts;
    [this.#alive, this.#leader] = [new Lease(parts), new Lease(parts)];
  }

  /** Whether this process leads. */
  leads({ leader }: DecisionView): boolean {
    return leader?.key === this.#parts.key && leader.instance === this.#instance;
  }

  /** Renews `alive`, or makes it. */
  async stayAlive(view: DecisionView, signal: AbortSignal): Promise<void> {
    const { store, key } = this.#parts;
    const isSame = await this.#alive.hold(signal);
    if (isSame && view.alive.has(key)) return;
    await store.transact([], { key: `${ALIVE}${key}`, value: new Uint8Array(), lease: this.#alive.id }, signal);
  }

  /** Renews `leader`, or makes it if no other founder has it. */
  async campaign(view: DecisionView, signal: AbortSignal): Promise<void> {
    const { store, key } = this.#parts;
    if (view.leader !== undefined && !this.leads(view)) return;
    await this.#leader.hold(signal);
    if (this.leads(view)) return;
    const value = encodeRecord({ key, instance: this.#instance });
    await store.transact([{ key: "leader", is: "absent" }], { key: "leader", value, lease: this.#leader.id }, signal);
  }

  /** Leads no longer, so that another may. */
  async yieldLead(signal: AbortSignal): Promise<void> {
    await this.#leader.end(signal);
  }
}

class Lease {
  readonly #parts: PresenceParts;
  #id = 0n;
  #renewedMs = 0;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  get id(): bigint {
    return this.#id;
  }

  /** Renews the lease in time, or makes one. Returns whether it is the same as at the last call. */
  async hold(signal: AbortSignal): Promise<boolean> {
    const { store, clock, ttlSeconds } = this.#parts;
    const isDue = clock.monotonicMs() - this.#renewedMs >= ttlSeconds * 1000 / RENEWALS;
    if (this.#id !== 0n && !isDue) return true;
    const nowMs = clock.monotonicMs();
    const isKept = this.#id !== 0n && await store.keepAlive(this.#id, signal);
    if (!isKept) this.#id = await store.grant(ttlSeconds, signal);
    this.#renewedMs = nowMs;
    return isKept;
  }

  async end(signal: AbortSignal): Promise<void> {
    if (this.#id === 0n) return;
    const id = this.#id;
    this.#id = 0n;
    await this.#parts.store.revoke(id, signal);
  }
}
