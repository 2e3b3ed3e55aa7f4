/**
 * What the ceremony is given, and what it says.
 *
 * @module
 */
import type { KeyPair } from "../certificate/keys.ts";
import type { Clock } from "../platform/clock.ts";
import type { BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { FounderPledge } from "./_roster_files.ts";
import type { CompleteRecord } from "./decision.ts";
import type { EtcdLauncher } from "./etcd_launchers.ts";
import type { RaftTimes } from "./etcd_process.ts";
import type { DecisionTimes } from "./moves.ts";

/** Which clusters this node's JoinClient may join now. */
export type JoinGate =
  | { readonly kind: "any" }
  | { readonly kind: "hold" }
  | { readonly kind: "only"; readonly clusterId: string };

/** A node lock, as far as the ceremony looks at it. */
export interface OwnLock {
  readonly owner: "init" | "join";
  /** `sha256:` and 64 hexadecimal digits. */
  readonly clusterId: string;
}

/** What the ceremony has done to this node. Cluster IDs are `sha256:` and 64 hexadecimal digits. */
export interface FounderEffects {
  /** The node lock as it is now. */
  lock(): Promise<OwnLock | undefined>;
  /** Makes a CA in memory, and returns its cluster ID. Nothing of it is on disk. */
  prepare(signal: AbortSignal): Promise<string>;
  /** Forgets the CA in memory, and staged keys that no lock names. */
  discard(): Promise<void>;
  /** Runs preflight, then stages the keys of the prepared cluster. It may be called again. A failure is for good. */
  stage(clusterId: string, signal: AbortSignal): Promise<void>;
  /** Takes the node lock for init, and returns the lock that there is then, whosever. A failure is for good. */
  takeLock(clusterId: string, signal: AbortSignal): Promise<OwnLock>;
  /**
   * Founds the cluster of the lock as an operator's Init does, from where its journal is, but for the join service.
   *
   * @returns Where joiners find the cluster.
   * @throws A failure is for good: it has tried again what time may mend.
   */
  found(clusterId: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Starts the own join service. It may be called again. */
  serve(complete: CompleteRecord, signal: AbortSignal): Promise<void>;
  /** Ends everything of the own cluster that answers: kubeadm, kubelet, static Pods. It may be called again. */
  supersede(reason: string): Promise<void>;
  /** Says which clusters the JoinClient may join. It is called at each change. */
  openJoin(gate: JoinGate): void;
  /** Whether this node is a member of the cluster of its lock: its sequence after the lock is done. */
  isMember(): Promise<boolean>;
}

/** What is known of the founders now. */
export interface FoundersSeen {
  /** The view: the own entry, and that of every present founder that was verified. */
  readonly entries: readonly RosterEntry[];
  /** Whether each peer's latest card shows the same view. */
  readonly isAgreed: boolean;
  /** What keeps anybody from pledging, sentences for people. */
  readonly hindrances: readonly string[];
  /** All pledges that were heard in cards. */
  readonly pledges: readonly FounderPledge[];
  /** The names of the founders of the pledged roster that are absent. */
  readonly absent: readonly string[];
}

/** What the own card shows of the pledge, at each change. */
export interface PledgeState {
  /** The pledged entries: from now on the view is these. */
  readonly entries: readonly RosterEntry[];
  /** Every pledge over the own R, whosever. */
  readonly pledges: readonly FounderPledge[];
  readonly isFixed: boolean;
}

/** The ceremony's times. Those of {@linkcode DecisionTimes}, and: */
export interface CeremonyTimes extends DecisionTimes {
  /** Between two looks, milliseconds. */
  readonly pollMs: number;
  /** A call of etcd ends after so long a time, milliseconds. */
  readonly callMs: number;
  /** A lease lasts so long without its process, seconds. */
  readonly leaseSeconds: number;
  /** Without an answer of etcd for so long, the JoinClient may join any cluster, milliseconds. */
  readonly noLeaderMs: number;
  /** A founder that resigned without a lock does not lead for so long, milliseconds. */
  readonly restMs: number;
  /** Staging, and taking the lock, end after so long a time, milliseconds. */
  readonly stageMs: number;
  /** Founding ends after so long a time, milliseconds. */
  readonly foundMs: number;
  /** Between two lines that say what is waited for, milliseconds. */
  readonly lineMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** The times of `founding.md`, and deadlines that a slow machine keeps. */
export const CEREMONY_TIMES: CeremonyTimes = Object.freeze({
  stableMs: 1.5 * SECOND,
  restlessMs: 30 * SECOND,
  takeoverMs: 5 * MINUTE,
  leaveMs: 60 * MINUTE,
  lingerMs: 10 * SECOND,
  pollMs: SECOND,
  callMs: 5 * SECOND,
  leaseSeconds: 15,
  noLeaderMs: 10 * MINUTE,
  restMs: 30 * SECOND,
  stageMs: 5 * MINUTE,
  foundMs: 30 * MINUTE,
  lineMs: 30 * SECOND,
});

/** What the ceremony waits for now. */
export interface Waiting {
  /** The part of the ceremony. */
  readonly phase: "pledging" | "deciding" | "leaving";
  /** What is waited for, a noun. */
  readonly what: string;
  /** The founders that it is waited for, by name. */
  readonly from: readonly string[];
  readonly since: Date;
  readonly lastError?: BootstrapError;
}

/** How the ceremony ended. */
export type CeremonyEnd =
  /** This node is a member; F and what belongs to it are gone. */
  | { readonly kind: "left" }
  /** etcd's data were lost, and F is gone: this node joins as any other. */
  | { readonly kind: "no-founder"; readonly reason: string }
  /** The own cluster is not the one that is complete: this node must be reset. Nobody has joined it. */
  | { readonly kind: "superseded"; readonly reason: string };

/** What {@linkcode FoundingCeremony} needs. */
export interface CeremonyParts {
  /** F. */
  readonly keys: KeyPair;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The founder's folder. */
  readonly folder: string;
  /** `trust.founding.size`. */
  readonly size: number;
  /** D12 of the own trust part. */
  readonly trustDigest: Uint8Array;
  /** Looks at the founders. */
  readonly seen: () => FoundersSeen;
  /** Hands the own pledge on to the card. */
  readonly publish: (state: PledgeState) => void;
  /** Whether an init could begin: preflight passed, etcd's image there, no lock, PCR 15 = 0. */
  readonly ready: () => Promise<boolean>;
  readonly effects: FounderEffects;
  readonly launcher: EtcdLauncher;
  readonly clock: Clock;
  readonly log: Log;
  /** The jitter of pauses: random numbers from 0 to 1. */
  readonly random: () => number;
  /** Receives what is waited for, every 30 s. */
  readonly onWaiting?: (line: string, waiting: Waiting) => void;
  /** Default: {@linkcode CEREMONY_TIMES}. Tests use shorter ones. */
  readonly times?: CeremonyTimes;
  /** Default: 500 ms and 5 s. */
  readonly raftTimes?: RaftTimes;
}
