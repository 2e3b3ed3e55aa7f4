/**
 * The steps of an init that both of its ends know: those up to the lock, and the last one. Between them is `INIT_SEQUENCE`.
 *
 * @module
 */
import { MINUTE_MS } from "../platform/duration.ts";

/** The checks that come before the lock. */
export const PREFLIGHT_STEP = "preflight";
/** The step that takes the node: from its end on the node goes on by itself. */
export const LOCK_STEP = "lock";
/** The steps of an init up to its lock. */
export const INIT_STEPS_BEFORE = [PREFLIGHT_STEP, LOCK_STEP] as const;
/** The last step of an init: its operator has the admin certificate, or the time for that is over. */
export const HAND_OVER = "hand-over";
/** How long a connected node may say nothing of a step: one phase of kubeadm may take minutes on an emulated machine. */
export const LONGEST_SILENCE_MS: number = 20 * MINUTE_MS;
