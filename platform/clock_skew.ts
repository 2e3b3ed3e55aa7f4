/**
 * The difference between two machines' clocks.
 *
 * @module
 */
import { BootstrapError } from "./errors.ts";

/**
 * The largest allowed difference between two clocks, in milliseconds: five minutes, as Kerberos and kubeadm's
 * certificates allow.
 */
export const MAXIMUM_CLOCK_SKEW_MS = 5 * 60 * 1000;

/**
 * Refuses a peer whose clock differs too much from this machine's; the error shows both times.
 *
 * @param peerMs The peer's clock, milliseconds since 1970.
 * @param now This machine's time.
 * @param maximumMs The largest accepted difference, milliseconds.
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
