const minuteMs = 60_000;

/**
 * How long things may take in emulated machines that share two cores with each other and with nothing else, in milliseconds of
 * the quiet reference machine: `waitUntil` gives a slower or busier one more time.
 */
export const deadlinesMs = {
  /** From power on to a system that takes commands. */
  boot: 5 * minuteMs,
  /** A command in a machine. */
  command: 2 * minuteMs,
  /** A node's init or join with all that comes before it, the joins before its own included. */
  member: 15 * minuteMs,
} as const;
