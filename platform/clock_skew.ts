/**
 * The difference of two machines' clocks.
 *
 * @module
 */
import { BootstrapError } from "./errors.ts";

/** How far two clocks may differ, milliseconds (five minutes, as Kerberos and kubeadm's certificates allow). */
export const MAXIMUM_CLOCK_SKEW_MS = 5 * 60 * 1000;

/**
 * Refuses a peer whose clock differs too much from ours, and shows both.
 *
 * @param peerMs The peer's clock, milliseconds since 1970.
 * @param now Our clock.
 * @param maximumMs The largest difference that is accepted, milliseconds.
 * @throws {BootstrapError} `precondition/clock-skew`.
 */
export function checkClockSkew(peerMs: bigint, now: Date, maximumMs: number = MAXIMUM_CLOCK_SKEW_MS): void {
  const ours = BigInt(now.getTime());
  const difference = peerMs > ours ? peerMs - ours : ours - peerMs;
  if (difference <= BigInt(maximumMs)) return;
  const seen = timeText(peerMs);
  throw new BootstrapError(
    "precondition/clock-skew",
    `The peer's clock says ${seen} and this machine's ${now.toISOString()}: at most ${maximumMs / 1000} s are accepted`,
    {
      next: "Set the clocks of both machines",
      details: { check: "clock-skew", expected: now.toISOString(), seen },
    },
  );
}

const LARGEST_DATE_MS = 8_640_000_000_000_000n;

function timeText(ms: bigint): string {
  const isDate = ms <= LARGEST_DATE_MS && ms >= -LARGEST_DATE_MS;
  return isDate ? new Date(Number(ms)).toISOString() : `${ms} ms after 1970`;
}
