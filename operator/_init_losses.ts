/**
 * What happens to an operator's init that has lost its node.
 *
 * @module
 */
import { PeerError } from "../protocol/refusal.ts";
import { BootstrapError, optionsOf } from "../platform/errors.ts";
import type { OperationWatch } from "./_operation_watch.ts";

/** Whether the node may go on although this init has lost it: the node's error says so, or the connection has ended. */
export function isLoss({ code, retriable }: BootstrapError): boolean {
  return retriable || code === "aborted/call";
}

/**
 * Whether the node says that it refused before its lock. The verified node says so itself, over its own channel, and it
 * has forgotten the CA key. The cluster of this founding can never exist, and the earlier record holds again.
 */
export function isFreshStill(error: unknown): boolean {
  return error instanceof PeerError && error.isFresh;
}

/**
 * The error for a node that was lost when it was about to take its lock, and that was not locked. The loss ended the
 * init.
 */
export function lostBeforeLock(error: BootstrapError): BootstrapError {
  const next = "Run init again: the node was not locked yet, and the init begins anew";
  return new BootstrapError(error.code, error.message, { ...optionsOf(error), next });
}

/** The error for an init that its caller stopped. */
export function stoppedInit(watch: Pick<OperationWatch, "isLocked" | "mayBeLocked">, cause: unknown): BootstrapError {
  const { isLocked, mayBeLocked } = watch;
  const goesOn = isLocked ? "; the node goes on" : mayBeLocked ? "; the node may go on" : "";
  return new BootstrapError("aborted/init", `The init was stopped${goesOn}`, {
    cause,
    next: mayBeLocked ? "Run init again for the kubeconfig: it goes on with the same operation" : "Run init again",
  });
}
