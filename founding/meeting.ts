/**
 * The meeting: this machine listens for other founders, dials them, and keeps the view of who is there.
 *
 * @module
 */
import type { EvidenceIssuer, EvidenceVerifier } from "../attestation/evidence.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { trustDigest } from "../protocol/transcript.ts";
import { INSTANCE_BYTES } from "./_message.ts";
import type { CardStream } from "./card_exchange.ts";
import { CARD_INTERVAL_MS, exchangeCards } from "./card_exchange.ts";
import { dialFounders, Dials } from "./dialler.ts";
import type { DialState } from "./dialler.ts";
import type { Resolve } from "./discovery.ts";
import { systemResolve } from "./discovery.ts";
import type { FounderName } from "./entry.ts";
import { keyDigestOf, ownEntry, sameEntry } from "./entry.ts";
import { EvidenceRate } from "./evidence_rate.ts";
import type { FoundClientExchange, Founder, FounderDeadlines, FoundServerExchange, MetFounder } from "./founder.ts";
import { FOUNDER_DEADLINES } from "./founder.ts";
import type { FounderKey } from "./founder_key.ts";
import type { HelloRefusal } from "./founding_server.ts";
import { FoundingServer } from "./founding_server.ts";
import type { CardContents } from "./own_card.ts";
import { OwnCard } from "./own_card.ts";
import { OwnDials } from "./own_dials.ts";
import { checkFounder } from "./statement.ts";
import type { FounderTrust } from "./trust_comparison.ts";
import { VerificationTurns } from "./verification_turns.ts";
import type { ViewState, ViewTime } from "./view.ts";
import { View } from "./view.ts";

/** What a meeting works with. */
export interface FounderMeetingOptions {
  /** Where the FoundingServer listens. Port 0 lets the kernel choose one. */
  readonly listen: Endpoint;
  /** This machine's name, and the address of its founding etcd. */
  readonly self: FounderName;
  readonly key: FounderKey;
  readonly trust: FounderTrust;
  /** Exactly where the trust part has a policy: makes this machine's evidence, and verifies peers' as control planes'. */
  readonly attestation?: { readonly issuer: EvidenceIssuer; readonly verifier: EvidenceVerifier };
  /** Exactly where the trust part has a token key. */
  readonly token?: KeyPair;
  /** Where the other founders are: IP addresses, or names that are resolved again and again. */
  readonly peers: readonly Endpoint[];
  /** Default: as the rest of the machine resolves. */
  readonly resolve?: Resolve;
  /** The entries to which this machine pledged before its start. */
  readonly pledged?: readonly RosterEntry[];
  readonly clock: Clock;
  readonly log: Log;
  /** Default: {@linkcode FOUNDER_DEADLINES}. */
  readonly deadlines?: FounderDeadlines;
  /** Random numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** A meeting at one moment. */
export interface MeetingState {
  readonly view: ViewState;
  /** What became of each address that is dialled. */
  readonly dials: readonly DialState[];
  /** The hellos that were refused, by reason. */
  readonly refusedHellos: Readonly<Record<HelloRefusal, number>>;
  /** The port of the FoundingServer, once it listens. */
  readonly port?: number;
}

/** The meeting of the founders, as this machine takes part in it. */
export class FounderMeeting {
  readonly #options: FounderMeetingOptions;
  readonly #own: Founder;
  readonly #view: View;
  readonly #card: OwnCard;
  readonly #dials = new Dials();
  readonly #server: FoundingServer;
  /** The streams to founders that were met. */
  readonly #streams = new Map<number, { readonly entry: RosterEntry; readonly end: AbortController }>();
  #change = Promise.withResolvers<void>();
  #port: number | undefined;
  #summary = "";

  private constructor(options: FounderMeetingOptions, entry: RosterEntry, digests: Record<"key" | "trust", Bytes>) {
    const { clock, key, trust, token, attestation, pledged, deadlines = FOUNDER_DEADLINES, listen, log } = options;
    const instance = randomBytes(INSTANCE_BYTES);
    this.#options = options;
    this.#view = new View({ entry, keyDigest: digests.key, size: trust.founding.size });
    this.#card = new OwnCard(entry, instance, clock);
    this.#own = {
      ...{ trust, trustDigest: digests.trust, entry, key, instance, clock, deadlines },
      ...present("token", token),
      ...present("attestation", attestation && { ...attestation, rate: new EvidenceRate(clock) }),
      verifications: new VerificationTurns(),
      ownDials: new OwnDials(),
      pledged: () => this.#view.pledged,
      nextCard: () => this.#card.next(),
      noteOwnKey: (seen) => {
        this.#view.noteOwnKey(seen, this.#time());
        this.#look();
      },
    };
    checkFounder(this.#own);
    if (pledged !== undefined) this.pledge(pledged);
    this.#server = new FoundingServer({
      ...{ own: this.#own, listen, log },
      converse: (met, exchange) => this.#converse(met, serverStream(exchange, deadlines)),
      onListening: (port) => {
        this.#port = port;
        this.#look();
      },
    });
  }

  /**
   * Prepares a meeting.
   *
   * @throws {BootstrapError} `precondition/founder-key` if this machine has pledged under another name, address or
   *   identity; `internal/argument` if token or attestation do not fit the trust part; what the issuer throws.
   */
  static async create(options: FounderMeetingOptions): Promise<FounderMeeting> {
    const { self, key: { certificate }, attestation, trust, pledged } = options;
    const entry = await ownEntry(self, certificate, attestation?.issuer);
    if (pledged !== undefined && !pledged.some((one) => sameEntry(one, entry))) {
      const message =
        `This machine has pledged to a roster in which ${self.name} (${self.address}) is not as it is now`;
      throw new BootstrapError("precondition/founder-key", message, {
        next:
          "Give the machine its earlier name, founding.address and TPM, or run `bootstrapper reset` on every founder",
      });
    }
    const digests = { key: await keyDigestOf(entry), trust: await trustDigest(trust) };
    return new FounderMeeting(options, entry, digests);
  }

  /** This machine's entry. */
  get entry(): RosterEntry {
    return this.#own.entry;
  }

  /** The meeting now. */
  get state(): MeetingState {
    return {
      view: this.#view.state(this.#time()),
      dials: this.#dials.states,
      refusedHellos: this.#server.refusedHellos,
      ...present("port", this.#port),
    };
  }

  /** Changes what this machine's card says: its state, its lock, its hindrances, and the pledges that it knows. */
  setCard(changes: Partial<CardContents>): void {
    this.#card.set(changes);
  }

  /**
   * Fixes the view to the entries of the own pledge, sorted by their keys' digests. Machines outside are told so.
   *
   * @throws {BootstrapError} `internal/argument` for a second pledge to others.
   */
  pledge(entries: readonly RosterEntry[]): void {
    this.#view.pledge(entries);
    for (const { entry, end } of this.#streams.values()) {
      if (entries.some((one) => sameEntry(one, entry))) continue;
      const message = `The founders have pledged without ${entry.name}: it is no founder, and joins later`;
      end.abort(new BootstrapError("precondition/founders-pledged", message));
    }
    this.#look();
  }

  /** The states, from now on: the present one, and one after each change. Changes that follow each other closely are one. */
  async *states(signal: AbortSignal): AsyncGenerator<MeetingState, void> {
    for (;;) {
      const { promise } = this.#change;
      yield this.state;
      const ended = Promise.withResolvers<void>();
      using _ending = onAbort(signal, ended.resolve);
      await Promise.race([promise, ended.promise]);
      if (signal.aborted) return;
    }
  }

  /**
   * Listens and dials until the signal.
   *
   * @throws {BootstrapError} `system/listen`; the signal's reason.
   */
  async run(signal: AbortSignal): Promise<never> {
    const { peers, resolve = systemResolve, clock, log, random = Math.random, deadlines = FOUNDER_DEADLINES } =
      this.#options;
    const over = new AbortController();
    const end = AbortSignal.any([signal, over.signal]);
    const parts: Promise<never>[] = [
      this.#server.run(end),
      dialFounders(
        {
          ...{ own: this.#own, peers, resolve, clock, log, random },
          isHeard: (instance) => this.#view.isHeard(instance, this.#time()),
          isVerifying: (instance) => this.#server.isVerifying(instance),
          converse: (met, exchange) => this.#converse(met, clientStream(exchange, deadlines)),
          onChange: () => this.#note(),
        },
        this.#dials,
        end,
      ),
      this.#watch(end),
    ];
    try {
      return await Promise.race(parts);
    } finally {
      over.abort(signal.aborted ? signal.reason : new BootstrapError("aborted/run", "The founders' meeting has ended"));
      await Promise.allSettled(parts);
    }
  }

  /** Cards and conflicts grow old without an event. */
  async #watch(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#options.clock.sleep(CARD_INTERVAL_MS, signal);
      this.#look();
    }
  }

  async #converse(met: MetFounder, stream: CardStream): Promise<never> {
    const number = this.#view.open(met, this.#time());
    const end = new AbortController();
    this.#streams.set(number, { entry: met.entry, end });
    this.#look();
    const hear = (card: MetFounder["card"]) => {
      this.#view.hear(number, card, this.#time());
      this.#look();
      this.#note();
    };
    try {
      return await exchangeCards(stream, this.#card, hear, this.#options.clock, end.signal);
    } catch (thrown) {
      const error = asBootstrapError(end.signal.aborted ? end.signal.reason : thrown);
      this.#view.close(number, error.message, this.#time());
      throw error;
    } finally {
      this.#streams.delete(number);
      this.#look();
    }
  }

  /** Shows the view on the own card, and says what has changed. */
  #look(): void {
    const { entries, summary, conflicts } = this.#view.state(this.#time());
    this.#card.show(entries);
    if (summary === this.#summary) return;
    this.#summary = summary;
    this.#options.log.event(conflicts.length === 0 ? "info" : "error", "founders", { message: summary });
    this.#note();
  }

  #note(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #time(): ViewTime {
    const { clock } = this.#options;
    return { monotonicMs: clock.monotonicMs(), nowMs: clock.now().getTime() };
  }
}

function clientStream(exchange: FoundClientExchange, { cardMs }: FounderDeadlines): CardStream {
  return {
    closed: exchange.closed,
    send: (card) => exchange.send({ message: { $case: "card", card } }),
    receive: () => exchange.receive("card", cardMs),
  };
}

function serverStream(exchange: FoundServerExchange, { cardMs }: FounderDeadlines): CardStream {
  return {
    closed: exchange.closed,
    send: (card) => exchange.send({ message: { $case: "card", card } }),
    receive: () => exchange.receive("card", cardMs),
  };
}
