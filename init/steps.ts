/**
 * The steps of an init that both of its ends know: those up to the lock, and the last one. Between them is `INIT_SEQUENCE`.
 *
 * @module
 */

/** The step that takes the node: from its end on the node goes on by itself. */
export const LOCK_STEP = "lock";
/** The steps of an init up to its lock. */
export const INIT_STEPS_BEFORE = ["preflight", LOCK_STEP] as const;
/** The last step of an init: its operator has the admin certificate, or the time for that is over. */
export const HAND_OVER = "hand-over";
