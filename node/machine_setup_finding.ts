/**
 * What a machine lacks, and what mends it.
 *
 * @module
 */

/** Something that the machine lacks. */
export interface SetupFinding {
  /** What is missing; stable within a version, such as `program-kubeadm`. */
  readonly check: string;
  /** What is missing, as a sentence without a final full stop. */
  readonly what: string;
  /** Why it is needed, as a sentence without a final full stop. */
  readonly why: string;
  /** The lines to run in a shell as root, in order. */
  readonly commands: readonly string[];
}
