import type { Socket } from "node:net";

/** An accepted connection. It exists before its handshake begins. */
export interface OpenConnection {
  readonly raw: Socket;
  /** The peer group of the remote address. */
  readonly group: string;
  /**
   * When the handshake began, milliseconds of any steady clock; undefined while the connection is held and waits for
   * this side.
   */
  openedMs: number | undefined;
  /** Ends the connection if its stream does not arrive in time. */
  opening: ReturnType<typeof setTimeout> | undefined;
  /** The exchange on the connection; undefined until its stream arrives. */
  exchange: { readonly awaitedSinceMs: number | undefined; readonly received: number } | undefined;
  /** Whether the peer has authenticated itself. A trusted connection is never evicted. */
  trusted: boolean;
}

/** A peer that has been awaited for a shorter time counts as working. */
const AT_WORK_MS = 1_000;
/** How much longer a peer may be awaited after it has sent something. */
const PROGRESS_CREDIT_MS = 5_000;

/** The connections of a listener, up to a maximum. */
export class Places {
  readonly #maximum: number;
  readonly #open = new Map<string, OpenConnection>();

  /** Starts without connections. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Returns the connection from a peer's address and port. */
  get(peer: string): OpenConnection | undefined {
    return this.#open.get(peer);
  }

  /** Returns all connections. */
  values(): IterableIterator<OpenConnection> {
    return this.#open.values();
  }

  /** Adds a connection. */
  add(peer: string, connection: OpenConnection): void {
    this.#open.set(peer, connection);
  }

  /** Removes a connection, unless a newer connection has the same address and port. */
  delete(peer: string, connection: OpenConnection): void {
    if (this.#open.get(peer) === connection) this.#open.delete(peer);
  }

  /** Counts the peers whose handshake has begun and that are working or waiting for this side. */
  countUnderWay(nowMs: number): number {
    let count = 0;
    for (const connection of this.#open.values()) {
      const sinceMs = awaitedSince(connection);
      if (connection.openedMs !== undefined && (sinceMs === undefined || nowMs - sinceMs < AT_WORK_MS)) count++;
    }
    return count;
  }

  /**
   * Returns the held connections, whose handshake has not begun, in the order in which their handshakes shall begin.
   * Peer groups take turns; groups with fewer begun connections come first, and within a group the oldest connection.
   */
  heldInTurn(): OpenConnection[] {
    const turns = new Map<string, number>();
    const takeTurn = ({ group }: OpenConnection) => {
      const turn = turns.get(group) ?? 0;
      turns.set(group, turn + 1);
      return turn;
    };
    const connections = [...this.#open.values()].filter(({ raw }) => !raw.destroyed);
    for (const connection of connections) if (connection.openedMs !== undefined) takeTurn(connection);
    return connections.filter(({ openedMs }) => openedMs === undefined)
      .map((connection) => ({ connection, turn: takeTurn(connection) }))
      .sort((a, b) => a.turn - b.turn)
      .map(({ connection }) => connection);
  }

  /**
   * Makes room for a newcomer if all places are taken. Returns whether the newcomer has a place.
   *
   * The peer group with most untrusted connections gives up one of them: the one whose peer has been awaited longest,
   * or, if even that peer seems to be working, the newest held connection. That may be the newcomer itself, which is
   * then refused. A peer that waits for this side's next message is never evicted.
   *
   * @param group The newcomer's peer group.
   * @param nowMs The time by the clock of {@linkcode OpenConnection.openedMs}.
   */
  makeRoom(group: string, nowMs: number): boolean {
    if (this.#open.size < this.#maximum) return true;
    const strangers = Map.groupBy([...this.#open].filter(([, { trusted }]) => !trusted), ([, one]) => one.group);
    const sizeOf = (one: string) => (strangers.get(one)?.length ?? 0) + (one === group ? 1 : 0);
    const largest = [...strangers.keys()].reduce((a, b) => sizeOf(b) > sizeOf(a) ? b : a, group);
    const candidates = strangers.get(largest) ?? [];
    let longest: { readonly peer: string; readonly connection: OpenConnection; readonly awaitedMs: number } | undefined;
    for (const [peer, connection] of candidates) {
      const awaitedMs = awaitedFor(connection, nowMs);
      if (awaitedMs === undefined) continue;
      if (longest === undefined || awaitedMs > longest.awaitedMs) longest = { peer, connection, awaitedMs };
    }
    if (longest !== undefined && longest.awaitedMs >= AT_WORK_MS) return this.#evict(longest.peer, longest.connection);
    const newest = candidates.findLast(([, { openedMs }]) => openedMs === undefined);
    if (newest !== undefined) return largest !== group && this.#evict(...newest);
    return longest !== undefined && this.#evict(longest.peer, longest.connection);
  }

  #evict(peer: string, { raw }: OpenConnection): true {
    // The close event comes later, but the place is free now.
    this.#open.delete(peer);
    raw.destroy();
    return true;
  }
}

/** How long a peer has been awaited, less its credit for progress; `undefined` while it waits for this side. */
function awaitedFor(connection: OpenConnection, nowMs: number): number | undefined {
  const sinceMs = awaitedSince(connection);
  if (sinceMs === undefined) return undefined;
  return nowMs - sinceMs - ((connection.exchange?.received ?? 0) === 0 ? 0 : PROGRESS_CREDIT_MS);
}

/** The time since which a peer has been awaited; `undefined` while it waits for this side or is held. */
function awaitedSince({ exchange, openedMs }: OpenConnection): number | undefined {
  return exchange === undefined ? openedMs : exchange.awaitedSinceMs;
}
