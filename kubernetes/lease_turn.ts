/**
 * A turn among control planes: one at a time does a piece of work, by a Lease.
 *
 * Clocks are never compared. Who finds the Lease held watches it: a holder that did not end within its time, by the
 * watcher's own clock, is dead, as its work ends before.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { withDeadline } from "../platform/deadline.ts";
import { SECOND_MS } from "../platform/duration.ts";
import type { Leases, StoredLease } from "./lease.ts";

/** How long a holder has the Lease, seconds. */
const HELD_SECONDS = 600;
/** The work ends before. */
const WORK_MS = 540 * SECOND_MS;
const LOOK_MS = 5 * SECOND_MS;

/** Who wants a turn, and in what. */
export interface Turn {
  /** The name of the Lease. */
  readonly name: string;
  /** The node. It takes its own Lease again at once, after a kill. */
  readonly identity: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Does the work when it is this node's turn. It waits for a holder for as long as that one may take.
 *
 * @throws {BootstrapError} `conflict/turn` if others had it all the time, `timeout/turn` if the work took too long; the
 *   errors of the API, and those of the work.
 */
export async function inTurn<T>(
  leases: Pick<Leases, "find" | "create" | "update">,
  turn: Turn,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, signal } = turn;
  const held = await taken(leases, turn);
  try {
    return await withDeadline(clock, WORK_MS, outOfTime, work, signal);
  } finally {
    // Who cannot give it back, as its API server has not come back, leaves it to the watchers.
    await leases.update(held, { transitions: held.transitions, annotations: held.annotations }).catch(() => {});
  }
}

async function taken(leases: Pick<Leases, "find" | "create" | "update">, turn: Turn): Promise<StoredLease> {
  const { name, identity, clock, signal } = turn;
  const end = clock.monotonicMs() + HELD_SECONDS * SECOND_MS + LOOK_MS;
  let seen: StoredLease | undefined;
  let since = clock.monotonicMs();
  for (;;) {
    const found = await leases.find(name);
    const isSame = found !== undefined && seen?.uid === found.uid && seen.resourceVersion === found.resourceVersion;
    if (!isSame) since = clock.monotonicMs();
    seen = found;
    const isDead = isSame && clock.monotonicMs() - since >= HELD_SECONDS * SECOND_MS;
    if (found?.holder === undefined || found.holder.identity === identity || isDead) {
      const mine = await take(leases, turn, found);
      if (mine !== undefined) return mine;
    } else if (clock.monotonicMs() >= end) {
      throw new BootstrapError("conflict/turn", `The control plane ${found.holder.identity} is at the same work`, {
        next: "Nothing: this node tries again within minutes",
      });
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

/** Takes the Lease; `undefined` if another one was faster. */
async function take(
  leases: Pick<Leases, "create" | "update">,
  { name, identity, clock }: Turn,
  found: StoredLease | undefined,
): Promise<StoredLease | undefined> {
  const now = clock.now();
  const holder = { identity, acquireTime: now, renewTime: now, durationSeconds: HELD_SECONDS };
  try {
    if (found === undefined) return await leases.create(name, { holder, transitions: 0, annotations: {} });
    return await leases.update(found, {
      holder,
      transitions: found.transitions + 1,
      annotations: found.annotations,
    });
  } catch (error) {
    const isTaken = error instanceof BootstrapError && error.code.startsWith("conflict/");
    if (isTaken) return undefined;
    throw error;
  }
}

function outOfTime(): BootstrapError {
  return new BootstrapError("timeout/turn", `The work did not end within ${WORK_MS / SECOND_MS} s`, {
    next: "Nothing: this node goes on with it within minutes",
  });
}
