/**
 * What both ends of the exchange between founders work with.
 *
 * @module
 */
import type { EvidenceIssuer, EvidenceVerifier } from "../attestation/evidence.ts";
import type { Exchange } from "../channel/exchange.ts";
import type { KeyPair } from "../certificate/keys.ts";
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { FoundClientMessage, FoundServerMessage } from "../proto/gen/bootstrapper.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { Card } from "./card.ts";
import type { FounderKey } from "./founder_key.ts";
import type { EvidenceRate } from "./evidence_rate.ts";
import type { OwnDials } from "./own_dials.ts";
import type { FounderTrust } from "./trust_comparison.ts";
import type { VerificationTurns } from "./verification_turns.ts";

/** How long a founder waits for a silent peer, in milliseconds. */
export interface FounderDeadlines {
  /** Until the hello arrives. */
  readonly helloMs: number;
  /** Until any other message of the exchange. A TPM in software emulation needs seconds for its evidence. */
  readonly answerMs: number;
  /** Between two cards. */
  readonly cardMs: number;
}

/** The deadlines of a founder. */
export const FOUNDER_DEADLINES: FounderDeadlines = Object.freeze({
  helloMs: 10_000,
  answerMs: 60_000,
  cardMs: 30_000,
});

/** This machine, as a founder. */
export interface Founder {
  /** The own trust part. What is asked of peers comes from it alone. */
  readonly trust: FounderTrust;
  /** Its D12, 32 bytes. */
  readonly trustDigest: Bytes;
  readonly entry: RosterEntry;
  readonly key: FounderKey;
  /** The token, exactly where the trust part has a token key. */
  readonly token?: KeyPair;
  /** Makes and verifies evidence, exactly where the trust part has a policy. */
  readonly attestation?: FounderAttestation;
  /** Random for each start of the program, 16 bytes. */
  readonly instance: Bytes;
  /** Bounds the verifications of peers. */
  readonly verifications: VerificationTurns;
  /** Knows what this process dialled. */
  readonly ownDials: OwnDials;
  readonly clock: Clock;
  readonly deadlines: FounderDeadlines;
  /** The entries to which this machine has pledged; `undefined` before its pledge. */
  pledged(): readonly RosterEntry[] | undefined;
  /** Makes the next card. */
  nextCard(): Promise<Bytes>;
  /** Called when a peer shows that it has F. */
  noteOwnKey(other: OwnKeySeen): void;
}

/** Evidence of this machine and of its peers. */
export interface FounderAttestation {
  readonly issuer: EvidenceIssuer;
  /** By the trust part's policy, for control planes. */
  readonly verifier: EvidenceVerifier;
  /** Bounds the evidence that this machine makes. */
  readonly rate: EvidenceRate;
}

/** The own F, seen at another process. */
export interface OwnKeySeen {
  /** Where it was seen: the address of the connection. */
  readonly peer: string;
  /** The name and the address on its card. */
  readonly name: string;
  readonly address: string;
}

/** A founder that was verified wholly. */
export interface MetFounder {
  readonly entry: RosterEntry;
  /** SHA-256 of the SPKI of F, 32 bytes. */
  readonly keyDigest: Bytes;
  readonly card: Card;
}

/** The exchange, from the end that dials. */
export type FoundClientExchange = Exchange<FoundServerMessage, FoundClientMessage>;
/** The exchange, from the end that is dialled. */
export type FoundServerExchange = Exchange<FoundClientMessage, FoundServerMessage>;
