import { BootstrapError } from "../platform/errors.ts";
import {
  type QueuedNode,
  type QueueState,
  RETRY_AFTER_SECONDS,
  type Slot,
  SLOT_SECONDS,
} from "./_control_plane_slot.ts";

const ASKS_AGAIN = "Nothing: the node asks again by itself";

/**
 * The error for a node when it is not its turn.
 *
 * @param slot The slot and its holder; `undefined` if the slot is free.
 */
export function notYet(
  { waiting }: QueueState,
  { identity, nodeName }: QueuedNode,
  slot: Slot | undefined,
): BootstrapError {
  const position = waiting.findIndex((place) => place.identity === identity) + 1;
  const place = `${nodeName} is number ${position} of ${waiting.length} that wait`;
  const why = slot === undefined
    ? `${waiting[0]?.nodeName} is the next control plane to join`
    : `The control plane ${slot.nodeName} is joining, until ${endOf(slot)} at the latest`;
  return new BootstrapError("unavailable/control-plane-queue", `${why}; ${place}`, {
    next: ASKS_AGAIN,
    details: {
      position: String(position),
      waiting: String(waiting.length),
      ...(slot === undefined ? {} : { holder: slot.nodeName }),
    },
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function endOf({ acquiredMs }: Slot): string {
  return new Date(acquiredMs + SLOT_SECONDS * 1000).toISOString();
}

/** The error for a node when the queue is full. */
export function queueFull(waiting: number): BootstrapError {
  return new BootstrapError(
    "unavailable/queue-full",
    `${waiting} control planes already wait to join, which is the most that may wait`,
    {
      next: ASKS_AGAIN,
      details: { waiting: String(waiting) },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  );
}

/** The error for a node when other services always changed the queue first. */
export function queueChanged(): BootstrapError {
  return new BootstrapError("unavailable/control-plane-queue-changed", "The queue of control planes keeps changing", {
    next: ASKS_AGAIN,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
