const minuteMs = 60_000;

/**
 * How long things may take, in milliseconds of the quiet reference machine: `waitUntil` gives a slower or busier one more time. What
 * makes it busy are the VMs themselves, too: three of them on two cores make each of these three times as long.
 */
export const deadlinesMs = {
  /** From power on to a system that takes commands. */
  boot: 4 * minuteMs,
  /** A command in a machine. */
  command: 2 * minuteMs,
  /** A node's init or join with all that comes before it, the joins before its own included. */
  member: 10 * minuteMs,
} as const;
