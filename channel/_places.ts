import type { Socket } from "node:net";

/** An accepted connection, from before its handshake. */
export interface OpenConnection {
  /** The TCP connection. */
  readonly raw: Socket;
  /** The part of the network that it comes from. */
  readonly group: string;
  /** When its handshake began, milliseconds of any steady clock; before that it is held, and waits for us. */
  openedMs: number | undefined;
  /** Ends the connection if its stream does not come. */
  opening: ReturnType<typeof setTimeout> | undefined;
  /** The exchange on it, once its stream has come. */
  exchange: { readonly awaitedSinceMs: number | undefined; readonly received: number } | undefined;
  /** Whether its peer has shown who it is: nobody takes its place. */
  trusted: boolean;
}

/** A peer that is awaited for less is at work, as far as one can tell. */
const AT_WORK_MS = 1_000;
/** How much longer than others a peer may be awaited once it has sent something: it has worked for its place. */
const PROGRESS_CREDIT_MS = 5_000;

/** The connections of a listener, of which there may be so many. */
export class Places {
  readonly #maximum: number;
  readonly #open = new Map<string, OpenConnection>();

  /** All are free. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The connection from a peer's address and port. */
  get(peer: string): OpenConnection | undefined {
    return this.#open.get(peer);
  }

  /** All connections. */
  values(): IterableIterator<OpenConnection> {
    return this.#open.values();
  }

  /** Notes a connection. */
  add(peer: string, connection: OpenConnection): void {
    this.#open.set(peer, connection);
  }

  /** Forgets a connection, unless its address and port have become another's. */
  delete(peer: string, connection: OpenConnection): void {
    if (this.#open.get(peer) === connection) this.#open.delete(peer);
  }

  /** How many peers are at work or wait for us, of those whose handshake has begun. */
  countUnderWay(nowMs: number): number {
    let count = 0;
    for (const connection of this.#open.values()) {
      const sinceMs = awaitedSince(connection);
      if (connection.openedMs !== undefined && (sinceMs === undefined || nowMs - sinceMs < AT_WORK_MS)) count++;
    }
    return count;
  }

  /**
   * The connections whose handshake has not begun, in the order in which they shall begin: each part of the network in turn,
   * those first that have fewest under way, and its oldest first.
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
   * Whether there is a place for a newcomer. Where all are taken, the part of the network that holds most of them gives one
   * up, strangers only: that of the peer that is awaited longest, but where that one seems to be at work, that of the newest
   * connection that is held, which may be the newcomer itself. Whoever is served keeps his place.
   *
   * @param group The part of the network that the newcomer comes from.
   * @param nowMs By the clock of {@linkcode OpenConnection.openedMs}.
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
    // Its end is announced only later; its place is free now.
    this.#open.delete(peer);
    raw.destroy();
    return true;
  }
}

/** How long a peer has let us wait, less what it has earned; `undefined` while it is the one that waits. */
function awaitedFor(connection: OpenConnection, nowMs: number): number | undefined {
  const sinceMs = awaitedSince(connection);
  if (sinceMs === undefined) return undefined;
  return nowMs - sinceMs - ((connection.exchange?.received ?? 0) === 0 ? 0 : PROGRESS_CREDIT_MS);
}

/** Since when a peer has let us wait. */
function awaitedSince({ exchange, openedMs }: OpenConnection): number | undefined {
  return exchange === undefined ? openedMs : exchange.awaitedSinceMs;
}
