/**
 * Whether a host can be reached at all. A request says so late: it may wait long for an answer.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { abortable } from "./abortable.ts";
import type { Clock } from "./clock.ts";
import { withDeadline } from "./deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import { BootstrapError } from "./errors.ts";

/** How long a host may take to accept a connection, its name's resolution included, milliseconds. */
export const REACH_DEADLINE_MS = 5_000;

/**
 * Connects to a host, by any of its addresses, and closes the connection.
 *
 * @returns The reason why there is no connection; `undefined` if there was one.
 */
export async function unreachableReason(
  { host, port }: Endpoint,
  clock: Pick<Clock, "sleep">,
): Promise<string | undefined> {
  const late = () => new Error(`there was no connection within ${REACH_DEADLINE_MS / 1000} s`);
  const connected = new AbortController();
  try {
    await withDeadline(clock, REACH_DEADLINE_MS, late, async (stop) => {
      const addresses = await abortable(addressesOf(host), stop);
      const signal = AbortSignal.any([stop, connected.signal]);
      const tries = addresses.map(async (hostname) => (await Deno.connect({ hostname, port, signal })).close());
      await Promise.any(tries);
    });
    return undefined;
  } catch (error) {
    const [first = error] = error instanceof AggregateError ? error.errors : [];
    return first instanceof Error ? first.message : String(first);
  } finally {
    connected.abort();
  }
}

/** Whether a host is an IP address, or a name that this machine's name service knows now. */
export async function isResolved(host: string): Promise<boolean> {
  try {
    await abortable(addressesOf(host), AbortSignal.timeout(REACH_DEADLINE_MS));
    return true;
  } catch {
    return false;
  }
}

/** The error for a host whose name this machine cannot resolve. */
export function unresolvedName(host: string, cause: unknown): BootstrapError {
  return new BootstrapError("unavailable/name-resolution", `The name ${host} cannot be resolved on this machine`, {
    cause,
    details: { host },
  });
}

async function addressesOf(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (cause) {
    throw new Error("the name cannot be resolved", { cause });
  }
}
