/**
 * What happens to an operator's init that has lost its node.
 *
 * @module
 */
import { PeerError } from "../protocol/refusal.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError, optionsOf } from "../platform/errors.ts";
import type { OperationWatch } from "./_operation_watch.ts";

/** What is said of a connection that was not made, or has ended. */
const OF_CONNECTIONS: readonly AnyErrorCode[] = [
  ...["unavailable/init-server", "unavailable/connection", "unavailable/peer-gone"] as const,
  "unavailable/name-resolution",
  ...["timeout/connect", "timeout/peer", "timeout/init-step", "aborted/call"] as const,
];
/** What this machine finds before it signs anything, and what time mends: a node's clock is set soon after its boot. */
const BEFORE_SIGNING: AnyErrorCode = "precondition/clock-skew";

/**
 * Whether the node may go on although this init has lost it: the node says that time may mend it, the connection has
 * ended, or the clocks do not agree yet. What else fails on this machine is no loss.
 */
export function isLoss(error: BootstrapError): boolean {
  if (error instanceof PeerError) return error.retriable;
  return OF_CONNECTIONS.includes(error.code) || error.code === BEFORE_SIGNING;
}

/**
 * Whether the node says that it refused before its lock. The verified node says so itself, over its own channel, and it
 * has forgotten the CA key. The cluster of this founding can never exist, and the earlier record holds again.
 */
export function isFreshStill(error: unknown): boolean {
  return error instanceof PeerError && error.isFresh;
}

/**
 * The error for a node that was lost before it showed a lock, and that is fresh now. Its evidence has no register for the
 * lock, so it cannot show that it never locked, and the name is not founded again there. The loss ended the init.
 */
export function lostForGood(loss: BootstrapError, refused: BootstrapError): BootstrapError {
  return new BootstrapError(loss.code, loss.message, {
    ...optionsOf(loss),
    retriable: false,
    next: `${refused.message}. ${refused.next}`,
  });
}

/** The error for an init that its caller stopped. */
export function stoppedInit(watch: Pick<OperationWatch, "isLocked" | "mayBeLocked">, cause: unknown): BootstrapError {
  const { isLocked, mayBeLocked } = watch;
  const goesOn = isLocked ? "; the node goes on" : mayBeLocked ? "; the node may go on" : "; the node stays fresh";
  return new BootstrapError("aborted/init", `The init was stopped${goesOn}`, {
    cause,
    next: mayBeLocked
      ? "Run init again with the same arguments for the kubeconfig: it goes on with the same operation. " +
        "`bootstrapper status` on the node shows how far it is"
      : "Run init again",
  });
}
