/**
 * Which ports of this machine are free to listen on.
 *
 * @module
 */

/** All addresses of the machine, IPv4 and IPv6. */
const ANY = ["0.0.0.0", "::"] as const;

/**
 * Returns those of the ports on which another program listens, at any of the machine's addresses. Each port is opened
 * for a moment.
 */
export function takenPorts(ports: readonly number[]): readonly number[] {
  return ports.filter((port) => ANY.some((hostname) => isTaken(hostname, port)));
}

function isTaken(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return false;
  } catch (error) {
    // Any other error says that the machine does not have the family.
    return error instanceof Deno.errors.AddrInUse;
  }
}
