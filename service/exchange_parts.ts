/**
 * The parts that the join service's side of an exchange works with.
 *
 * @module
 */
import type { NodeRole } from "../kubernetes/node_role.ts";
import type { Session } from "../channel/server.ts";
import type { ActivationChallenge, EvidenceVerifier } from "../attestation/evidence.ts";
import type { AcceptedTrust } from "../attestation/policy/accepted_trust.ts";
import type { Standing } from "../attestation/policy/policy.ts";
import type { ClusterTrust, JoinContext } from "../protocol/transcript.ts";
import type { NodeCertificateRequest, UnsignedNodeCertificates } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import type { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { RefusalLog } from "../platform/refusal_log.ts";
import type { Evidence, Founding, JoinClientMessage, JoinServerMessage, SealedKit } from "../proto/gen/bootstrapper.ts";
import type { ClusterNetwork } from "./claims_check.ts";
import type { QueuedNode } from "./control_plane_queue.ts";
import type { DocumentFetches } from "./document_fetches.ts";
import type { FairQueue } from "./fair_queue.ts";

/**
 * How long the service waits for a silent peer, in milliseconds. A TPM in software emulation needs seconds for its
 * evidence.
 */
export interface JoinServiceDeadlines {
  /** Until the hello arrives. */
  readonly helloMs: number;
  /** From the proposal to the request. */
  readonly requestMs: number;
  /** From the challenge to its answer. */
  readonly activationMs: number;
  /**
   * From a control plane's ticket to its lock, with its preflight in between.
   */
  readonly outcomeMs: number;
}

/** The deadlines of a running service. */
export const JOIN_SERVICE_DEADLINES: JoinServiceDeadlines = Object.freeze({
  helloMs: 5_000,
  requestMs: 30_000,
  activationMs: 30_000,
  outcomeMs: 15 * 60_000,
});

/** The service's identity towards nodes. */
export interface JoinServiceIdentity {
  /** 32 bytes. */
  readonly clusterId: Uint8Array;
  /** The cluster's CA certificate, DER. */
  readonly caCertificate: Uint8Array;
  /** The operators' foundings of the cluster. */
  readonly foundings: readonly Founding[];
  /** The founding by the founding token, if the cluster has one. */
  readonly tokenFounding?: Uint8Array;
  /** The service's certificate, DER. */
  readonly certificate: Uint8Array;
  /** The key of that certificate. */
  readonly keys: KeyPair;
}

/** Makes this machine's evidence over A1 of a Join, and nothing else. */
export interface FounderProver {
  /** Makes evidence over A1 of these values. */
  issue(context: JoinContext): Promise<Evidence>;
  /** Opens a challenge, and returns the answer for the same A1, 32 bytes. */
  answer(context: JoinContext, challenge: ActivationChallenge): Promise<Bytes>;
}

/** Admits control planes. */
export interface ControlPlaneAdmission {
  /**
   * Returns when it is the node's turn. Otherwise keeps the node's place.
   *
   * @throws {BootstrapError} The reason why it is not: `unavailable/control-plane-queue` and its like.
   */
  enter(node: QueuedNode): Promise<void>;
  /** Frees the turn of a node that no longer needs it. */
  release(identity: string): Promise<unknown>;
  /** Returns the cluster's keys, sealed to E_c and bound to A2. */
  seal(sealingKey: Uint8Array, a2: Uint8Array): Promise<SealedKit>;
}

/** The node whose certificates are made. */
export type CertifiedNode = Omit<NodeCertificateRequest, "lifetimeMs"> & { readonly admissionUid: string };

/** What an exchange works with. */
export interface JoinExchangeService {
  readonly identity: JoinServiceIdentity;
  /** The cluster's name and operators, which every node must have measured; its cluster ID is the service's own. */
  readonly trust: ClusterTrust;
  /** What the policy accepts of the rest of a node's configuration. */
  readonly acceptedTrust: AcceptedTrust;
  /** Verifies the nodes' evidence, by the policy. */
  readonly verifier: EvidenceVerifier;
  /** Whether the policy admits every machine without proof. */
  readonly isInsecure: boolean;
  /** The role that an identity may have, by the policy. */
  readonly roleOf: (identity: string) => NodeRole;
  /** What the policy says of an identity by name. */
  readonly standingOf: (identity: string) => Standing | undefined;
  /** Refuses a name that an identity may not have, by the policy. */
  readonly checkNodeName: (identity: string, nodeName: string) => void;
  /** How far a node's clock may be off, by the policy. */
  readonly maximumClockSkewMs: number;
  /** Refuses, retriably, if nothing may be issued by that policy yet, or any more. */
  readonly confirmPolicy: () => Promise<void>;
  /** Which policy that is: the SHA-256 of its document, hexadecimal. */
  readonly policyDigest: Promise<string>;
  /** What no node may claim to be. */
  readonly network: ClusterNetwork;
  /** The admission records of the cluster. */
  readonly admissions: Pick<AdmissionRecords, "find" | "stands" | "admit" | "renew" | "recordCertificates">;
  /** Makes a node's certificates with the cluster's CA, complete but for their signatures. */
  readonly prepareCertificates: (node: CertifiedNode) => Promise<UnsignedNodeCertificates>;
  /** Refuses a node that an operator is removing from the cluster. */
  readonly checkNotRemoved: (nodeName: string) => Promise<void>;
  readonly controlPlanes: ControlPlaneAdmission;
  /** The API server's version, such as `v1.36.3`. */
  readonly clusterVersion: () => Promise<string>;
  /** The epoch that new node certificates carry. */
  readonly currentEpoch: () => Promise<number>;
  /** What a ticket contains in addition to its certificates. */
  readonly ticket: {
    /** Where nodes reach the API server, `host:port`. */
    readonly apiEndpoints: readonly string[];
    /** Where nodes reach join services, `host:port`. */
    readonly joinEndpoints: readonly string[];
    /** YAML: the cluster's settings. */
    readonly clusterDocument: string;
  };
  /** Fetches documents that a verification lacks. */
  readonly fetches: DocumentFetches;
  /** Bounds the verifications. */
  readonly queue: FairQueue;
  /** Makes evidence of this machine, where the trust part has a policy for founders. */
  readonly prover?: FounderProver;
  /** Bounds that evidence. */
  readonly proofs: FairQueue;
  readonly deadlines: JoinServiceDeadlines;
  /** Compared with the nodes' clocks. */
  readonly clock: Pick<Clock, "now" | "monotonicMs" | "sleep">;
  /** Records each outcome. */
  readonly log: Log;
  /** Records refusals. */
  readonly refusals: RefusalLog;
}

/** One Join exchange, from the service's side. */
export type JoinSession = Session<JoinClientMessage, JoinServerMessage>;

/** What is known of the node so far, for the log. */
export interface KnownNode {
  node?: string;
  role?: string;
  purpose?: string;
  identity?: string;
}
