import type { Socket } from "node:net";
import { Recent } from "../platform/recent.ts";

/** Where a connection comes from. */
export interface Origin {
  /** The peer group of the address. */
  readonly group: string;
  /** The address, without the port; for IPv6 its first 64 bits. */
  readonly address: string;
}

/** An accepted connection. It exists before its handshake begins. */
export interface OpenConnection {
  readonly raw: Socket;
  /** Where it comes from. */
  readonly origin: Origin;
  /**
   * When the handshake began, milliseconds of any steady clock; undefined while the connection is held and waits for
   * this side.
   */
  openedMs: number | undefined;
  /** Ends the connection if its stream does not arrive in time. */
  opening: ReturnType<typeof setTimeout> | undefined;
  /** Finds out whether the peer is silent. */
  listening: ReturnType<typeof setTimeout> | undefined;
  /** The exchange on the connection; undefined until its stream arrives. */
  exchange: { readonly awaitedSinceMs: number | undefined; readonly received: number } | undefined;
  /** Whether the peer should have sent its first bytes by now, and has not. */
  silent: boolean;
  /** Whether the peer has authenticated itself. A trusted connection is never evicted. */
  trusted: boolean;
}

/** A peer whose first bytes have not come by then is silent. A peer that works sends them with its connection. */
export const SILENT_AFTER_MS = 100;
/** A silent peer that has been awaited for a shorter time counts as working: this side may be slow to read. */
const AT_WORK_MS = 500;
/** How much longer a peer may be awaited whose handshake has begun to arrive. Slow machines take seconds for it. */
const HANDSHAKE_CREDIT_MS = 2_500;
/** For so long a peer in its handshake, or in a pause of its exchange, counts as under way. */
const UNDER_WAY_MS = 1_000;
/** How much longer a peer may be awaited that has sent a message. */
const MESSAGE_CREDIT_MS = 5_500;
/**
 * After an address, or a group at another's cost, has taken the place of a peer that seems to be working, it may not do
 * so again for this time. The time doubles with each further place, and is forgotten when the peer's handshake is done.
 */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** For so long an address is suspect whose connection was silent. */
const SUSPECT_MS = 60_000;
/** How many addresses of peers are remembered. */
const MAXIMUM_REMEMBERED = 8_192;
/** After no idle peer was found, suspects are refused without another search for this time. */
const NONE_IDLE_MS = 50;
/** The time for a handshake and its stream while at most half of the places are taken. */
export const LONGEST_OPENING_MS = 10_000;
/** The same when all places are taken. Between half and all, the time shortens evenly. */
const SHORTEST_OPENING_MS = 2_500;
/** How often the listener looks for connections whose opening takes too long. */
const OVERDUE_LOOK_MS = 100;

/** Until when an origin that has taken the place of a working peer may not do so again. */
interface Displacement {
  readonly untilMs: number;
  readonly pauseMs: number;
}

/** An awaited connection, and for how long its peer has been awaited, less its credit. */
interface Awaited {
  readonly peer: string;
  readonly connection: OpenConnection;
  readonly awaitedMs: number;
}

/** The connections of a listener, up to a maximum. */
export class Places {
  readonly #maximum: number;
  readonly #open = new Map<string, OpenConnection>();
  /** The number of untrusted connections of each peer group. */
  readonly #strangers = new Map<string, number>();
  /** The displacements by addresses and groups. */
  readonly #displacements = new Recent<Displacement>({ ageMs: 2 * LONGEST_PAUSE_MS, maximum: MAXIMUM_REMEMBERED });
  /** The addresses that had a silent connection. */
  readonly #silent = new Recent<true>({ ageMs: SUSPECT_MS, maximum: MAXIMUM_REMEMBERED });
  #lookedMs = -Infinity;
  #noneIdleMs = -Infinity;

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
    const before = this.#open.get(peer);
    if (before !== undefined) this.delete(peer, before);
    this.#open.set(peer, connection);
    if (!connection.trusted) this.#count(connection, 1);
  }

  /** Marks that a peer's handshake is done: it took its place in earnest. */
  noteHandshake(connection: OpenConnection): void {
    connection.silent = false;
    for (const key of displacementKeys(connection.origin)) this.#displacements.delete(key);
  }

  /** Marks a peer as authenticated. It is never evicted, and what is held against its address is forgotten. */
  trust(connection: OpenConnection): void {
    if (!connection.trusted) this.#count(connection, -1);
    connection.trusted = true;
    this.noteHandshake(connection);
    this.#silent.delete(connection.origin.address);
  }

  /** Marks that the exchange with a peer is over: it only has to close its connection. */
  release(connection: OpenConnection, nowMs: number): void {
    if (connection.trusted) this.#count(connection, 1);
    connection.trusted = false;
    // It is awaited as a peer that has sent no message.
    connection.exchange = { awaitedSinceMs: nowMs, received: 0 };
  }

  /** Marks that a peer should have sent its first bytes by now, and has not. */
  noteSilence(connection: OpenConnection, nowMs: number): void {
    connection.silent = true;
    this.#silent.set(connection.origin.address, true, nowMs);
  }

  /** Whether an address had a silent connection not long ago. */
  isSuspect({ address }: Origin, nowMs: number): boolean {
    return this.#silent.get(address, nowMs) === true;
  }

  /** Removes a connection, unless a newer connection has the same address and port. */
  delete(peer: string, connection: OpenConnection): void {
    if (this.#open.get(peer) !== connection) return;
    this.#open.delete(peer);
    if (!connection.trusted) this.#count(connection, -1);
  }

  /** Counts the peers whose handshake has begun and that are working or waiting for this side. */
  countUnderWay(nowMs: number): number {
    let count = 0;
    for (const connection of this.#open.values()) {
      if (connection.openedMs === undefined) continue;
      const sinceMs = awaitedSince(connection);
      if (sinceMs === undefined) count++;
      else if (nowMs - sinceMs < UNDER_WAY_MS && !connection.silent) count++;
    }
    return count;
  }

  /**
   * Returns the held connections, whose handshake has not begun, in the order in which their handshakes shall begin.
   * Peer groups take turns; groups with fewer begun connections come first, and within a group the oldest connection.
   * Before all, those come whose address is not suspect.
   */
  heldInTurn(nowMs: number): OpenConnection[] {
    const turns = new Map<string, number>();
    const takeTurn = ({ origin: { group } }: OpenConnection) => {
      const turn = turns.get(group) ?? 0;
      turns.set(group, turn + 1);
      return turn;
    };
    const connections = [...this.#open.values()];
    for (const connection of connections) if (connection.openedMs !== undefined) takeTurn(connection);
    return connections.filter(({ openedMs }) => openedMs === undefined)
      .map((connection) => {
        const isSuspect = this.isSuspect(connection.origin, nowMs);
        return { connection, isSuspect, turn: takeTurn(connection) };
      })
      .sort((a, b) => Number(a.isSuspect) - Number(b.isSuspect) || a.turn - b.turn)
      .map(({ connection }) => connection);
  }

  /**
   * Closes the connections whose handshake or stream has not come in time: 10 s while at most half of the places are
   * taken, and less from there on, down to 2.5 s.
   */
  closeOverdue(nowMs: number): void {
    if (nowMs - this.#lookedMs < OVERDUE_LOOK_MS) return;
    this.#lookedMs = nowMs;
    const limitMs = this.openingMs();
    if (limitMs === LONGEST_OPENING_MS) return;
    for (const [peer, connection] of this.#open) {
      const { openedMs, exchange } = connection;
      if (exchange === undefined && openedMs !== undefined && nowMs - openedMs >= limitMs) {
        this.#evict(peer, connection);
      }
    }
  }

  /** Returns how long a handshake and its stream may take now. */
  openingMs(): number {
    const beyondHalf = Math.min(1, Math.max(0, 2 * this.#open.size / this.#maximum - 1));
    return LONGEST_OPENING_MS - beyondHalf * (LONGEST_OPENING_MS - SHORTEST_OPENING_MS);
  }

  /**
   * Makes room for a newcomer if all places are taken. Returns whether the newcomer has a place.
   *
   * The place comes from the peer groups with most untrusted connections, the newcomer counted. Of all their
   * connections, the one whose peer has been awaited longest gives way, unless even that peer seems to be working. Then:
   *
   * | the newcomer's group | who gives way |
   * |---|---|
   * | is smaller than the largest | the newest held connection of the largest groups, else the peer awaited longest |
   * | alone is the largest, and has held connections | the newcomer, as the newest of them |
   * | is one of the largest | a held connection of a suspect address; else the peer awaited longest |
   *
   * In the last case the newcomer itself gives way if its address is suspect, or has just taken such a place. So a flood
   * from many sources, each of which comes back at once, cannot take working peers' places faster than they can finish.
   * A peer that waits for this side's next message is never evicted.
   *
   * @param nowMs The time by the clock of {@linkcode OpenConnection.openedMs}.
   */
  makeRoom(origin: Origin, nowMs: number): boolean {
    if (this.#open.size < this.#maximum) return true;
    const isSuspect = this.isSuspect(origin, nowMs);
    const { group } = origin;
    const sizeOf = (one: string) => (this.#strangers.get(one) ?? 0) + (one === group ? 1 : 0);
    const most = Math.max(sizeOf(group), ...this.#strangers.values());
    const isLarge = sizeOf(group) === most;
    if (isLarge && isSuspect && nowMs - this.#noneIdleMs < NONE_IDLE_MS) return false;
    const { longest, newestHeld, suspectHeld } = this.#among((one) => sizeOf(one) === most, nowMs);
    if (longest !== undefined && longest.awaitedMs >= AT_WORK_MS) return this.#evict(longest.peer, longest.connection);
    this.#noneIdleMs = nowMs;
    if (!isLarge) {
      if (newestHeld !== undefined) return this.#evict(...newestHeld);
      return longest !== undefined && this.#evict(longest.peer, longest.connection);
    }
    const isAlone = ![...this.#strangers.keys()].some((one) => one !== group && sizeOf(one) === most);
    if (isSuspect || (isAlone && newestHeld !== undefined)) return false;
    if (suspectHeld !== undefined) return this.#evict(...suspectHeld);
    if (longest === undefined) return false;
    const isOwnGroup = longest.connection.origin.group === group;
    const keys = displacementKeys(origin).slice(0, isOwnGroup ? 1 : 2);
    return this.#mayDisplace(keys, nowMs) && this.#evict(longest.peer, longest.connection);
  }

  #count({ origin: { group } }: OpenConnection, change: 1 | -1): void {
    const size = (this.#strangers.get(group) ?? 0) + change;
    if (size === 0) this.#strangers.delete(group);
    else this.#strangers.set(group, size);
  }

  /** Finds untrusted connections of some groups: the one awaited longest, and the newest held ones. */
  #among(isCandidate: (group: string) => boolean, nowMs: number): {
    readonly longest: Awaited | undefined;
    readonly newestHeld: readonly [string, OpenConnection] | undefined;
    readonly suspectHeld: readonly [string, OpenConnection] | undefined;
  } {
    let longest: Awaited | undefined;
    let newestHeld: readonly [string, OpenConnection] | undefined;
    let suspectHeld: readonly [string, OpenConnection] | undefined;
    for (const [peer, connection] of this.#open) {
      const { origin, openedMs, trusted } = connection;
      if (trusted || !isCandidate(origin.group)) continue;
      if (openedMs === undefined) {
        newestHeld = [peer, connection];
        if (this.isSuspect(origin, nowMs)) suspectHeld = newestHeld;
        continue;
      }
      const awaitedMs = awaitedFor(connection, nowMs);
      if (awaitedMs === undefined) continue;
      if (longest === undefined || awaitedMs > longest.awaitedMs) longest = { peer, connection, awaitedMs };
    }
    return { longest, newestHeld, suspectHeld };
  }

  /** Notes that a newcomer takes the place of a working peer, unless one of its keys has done so a moment ago. */
  #mayDisplace(keys: readonly string[], nowMs: number): boolean {
    const befores = keys.map((key) => this.#displacements.get(key, nowMs));
    if (befores.some((before) => before !== undefined && nowMs < before.untilMs)) return false;
    for (const [index, key] of keys.entries()) {
      const before = befores[index];
      const pauseMs = before === undefined ? FIRST_PAUSE_MS : Math.min(2 * before.pauseMs, LONGEST_PAUSE_MS);
      this.#displacements.set(key, { untilMs: nowMs + pauseMs, pauseMs }, nowMs);
    }
    return true;
  }

  #evict(peer: string, connection: OpenConnection): true {
    // The close event comes later, but the place is free now.
    this.delete(peer, connection);
    connection.raw.destroy();
    return true;
  }
}

/** The keys under which the displacements by an origin are remembered. */
function displacementKeys({ group, address }: Origin): string[] {
  return [`address ${address}`, `group ${group}`];
}

/** How long a peer has been awaited, less its credit for progress; `undefined` while it waits for this side. */
function awaitedFor(connection: OpenConnection, nowMs: number): number | undefined {
  const sinceMs = awaitedSince(connection);
  if (sinceMs === undefined) return undefined;
  const creditMs = connection.silent && connection.exchange === undefined
    ? 0
    : (connection.exchange?.received ?? 0) === 0
    ? HANDSHAKE_CREDIT_MS
    : MESSAGE_CREDIT_MS;
  return nowMs - sinceMs - creditMs;
}

/** The time since which a peer has been awaited; `undefined` while it waits for this side or is held. */
function awaitedSince({ exchange, openedMs }: OpenConnection): number | undefined {
  return exchange === undefined ? openedMs : exchange.awaitedSinceMs;
}
