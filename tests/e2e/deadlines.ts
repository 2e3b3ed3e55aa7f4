const minuteMs = 60_000;

/**
 * Deadlines in milliseconds of the quiet reference machine. `waitUntil` extends them on a slower or busier machine. The
 * VMs themselves keep a machine busy, too: three of them on two cores make each of these steps take three times as
 * long.
 */
export const deadlinesMs = {
  /** From power on until the system takes commands. */
  boot: 4 * minuteMs,
  /** A command in a machine. */
  command: 2 * minuteMs,
  /** A node's init or join with everything that precedes it, including the joins that are ahead of it in the queue. */
  member: 10 * minuteMs,
} as const;
