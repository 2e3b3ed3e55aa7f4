const minuteMs = 60_000;
/** Emulated machines, four of which share these many cores, are as fast as the deadlines expect. */
const expectedCores = 4;
const factor = navigator.hardwareConcurrency < expectedCores ? 2 : 1;

/** How long things may take in emulated machines that share few cores, in milliseconds. */
export const deadlinesMs = {
  /** From power on to a system that takes commands. */
  boot: 5 * factor * minuteMs,
  /** A command in a machine. */
  command: 2 * factor * minuteMs,
  /** A node's init or join with all that comes before it, the joins before its own included. */
  member: 15 * factor * minuteMs,
} as const;
