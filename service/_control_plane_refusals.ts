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
 * It is not the node's turn.
 *
 * @param slot Who has the slot, or nobody.
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

/** There is no place left. */
export function queueFull(waiting: number): BootstrapError {
  return new BootstrapError(
    "unavailable/queue-full",
    `${waiting} control planes wait to join already, and no more may`,
    {
      next: ASKS_AGAIN,
      details: { waiting: String(waiting) },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  );
}

/** Others were always quicker. */
export function queueChanged(): BootstrapError {
  return new BootstrapError("unavailable/control-plane-queue-changed", "The queue of control planes keeps changing", {
    next: ASKS_AGAIN,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
