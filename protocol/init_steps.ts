/**
 * The steps of an init that both ends know: those up to the lock, and the last one. The steps of `INIT_SEQUENCE` run
 * between them.
 *
 * @module
 */
import { MINUTE_MS } from "../platform/duration.ts";

/** The checks before the lock. */
export const PREFLIGHT_STEP = "preflight";
/** The step that locks the node. After it the node continues without the operator. */
export const LOCK_STEP = "lock";
/** The steps of an init up to and including its lock. */
export const INIT_STEPS_BEFORE = [PREFLIGHT_STEP, LOCK_STEP] as const;
/** The last step of an init: the operator receives the admin certificate, or the time limit for that passes. */
export const HAND_OVER = "hand-over";
/** How long a connected node may be silent: one phase of kubeadm may take minutes on an emulated machine. */
export const LONGEST_SILENCE_MS: number = 20 * MINUTE_MS;

/** The start of a detail with a warning of kubeadm, which the operator must not overlook among the others. */
export const WARNING_PREFIX = "kubeadm warns: ";
