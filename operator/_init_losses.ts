/**
 * What happens to an operator's init that has lost its node.
 *
 * @module
 */
import { PeerError } from "../protocol/refusal.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { OperationWatch } from "./_operation_watch.ts";

/** Whether time may mend it: the node says so, or the connection has ended. */
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

/** The error for an init that its caller stopped. */
export function stoppedInit(watch: Pick<OperationWatch, "isLocked" | "mayBeLocked">, cause: unknown): BootstrapError {
  const { isLocked, mayBeLocked } = watch;
  const goesOn = isLocked ? "; the node goes on" : mayBeLocked ? "; the node may go on" : "";
  return new BootstrapError("aborted/init", `The init was stopped${goesOn}`, {
    cause,
    next: mayBeLocked ? "Run init again for the kubeconfig: it goes on with the same operation" : "Run init again",
  });
}
