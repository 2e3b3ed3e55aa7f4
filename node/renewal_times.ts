/**
 * When a node renews its certificates.
 *
 * | part of their life | |
 * |---|---|
 * | first third | nothing is done |
 * | second third | the node renews when it looks next, which nodes do at different times |
 * | last third, and after the end | the node asks again and again |
 *
 * The cluster may end certificates before their time. Each node asks for that within an hour, and renews then.
 *
 * @module
 */
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../platform/duration.ts";

/** When certificates are valid. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** How urgent a renewal is. */
export type RenewalUrgency = "early" | "due" | "late";

/** The fraction of their life at which certificates may be renewed. */
const DUE_AT = 1 / 3;
/** The fraction of their life from which a node asks without long pauses. */
const LATE_AT = 2 / 3;
/** The longest time between two looks. Nodes whose epoch ended at once are back within it. */
const LONGEST_PAUSE_MS = HOUR_MS;
/** The largest delay after `DUE_AT`, as a fraction of their life. */
const SPREAD = 1 / 12;

/** Returns the validity that all of the certificates share; `undefined` if there are none. */
export function commonValidity(certificates: readonly Validity[]): Validity | undefined {
  const [first, ...others] = certificates;
  if (first === undefined) return undefined;
  return others.reduce((common, { notBefore, notAfter }) => ({
    notBefore: notBefore > common.notBefore ? notBefore : common.notBefore,
    notAfter: notAfter < common.notAfter ? notAfter : common.notAfter,
  }), first);
}

/** Returns how urgent the renewal of certificates is. A node without certificates is late. */
export function renewalUrgency(validity: Validity | undefined, now: Date): RenewalUrgency {
  if (validity === undefined || now >= at(validity, LATE_AT)) return "late";
  return now >= at(validity, DUE_AT) ? "due" : "early";
}

/** From when on certificates may be renewed. */
export function renewableFrom(validity: Validity): Date {
  return at(validity, DUE_AT);
}

/**
 * Returns when a node looks at its certificates next: when they may be renewed, and at the latest in an hour, as the
 * cluster may have ended them before their time.
 *
 * @param random From 0 to 1.
 */
export function nextLook(validity: Validity, now: Date, random: number): Date {
  const due = at(validity, DUE_AT + SPREAD * random);
  return new Date(Math.min(due.getTime(), now.getTime() + LONGEST_PAUSE_MS * (1 - random / 2)));
}

/**
 * Whether a control plane should prove itself to others again: once since it booted, as another image may have booted,
 * and each day.
 */
export function isReattestationDue(attested: Date | undefined, bootedAt: Date, now: Date): boolean {
  return attested === undefined || attested < bootedAt || attested > now ||
    now.getTime() - attested.getTime() >= DAY_MS;
}

/**
 * Returns when a node looks again after a renewal that failed while there is time: in 10 to 20 minutes.
 *
 * @param random From 0 to 1.
 */
export function afterFailure(now: Date, random: number): Date {
  return new Date(now.getTime() + 10 * MINUTE_MS * (1 + random));
}

function at({ notBefore, notAfter }: Validity, fraction: number): Date {
  const [start, end] = [notBefore.getTime(), notAfter.getTime()];
  return new Date(start + (end - start) * fraction);
}
