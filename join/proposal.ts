/**
 * The checks of how a join service shows itself, before the node sends anything of its own.
 *
 * @module
 */
import { refusal } from "../protocol/refusal.ts";
import { checkFounding } from "../protocol/founding.ts";
import { joinA1 } from "../protocol/transcript.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { checkCaCertificate, checkServiceCertificate } from "../certificate/chain.ts";
import { CLUSTER_ID_BYTES, clusterIdOf, clusterIdText } from "../certificate/cluster_id.ts";
import { SIGNATURE_BYTES, verify } from "../protocol/signature.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { Founding, JoinProposal } from "../proto/gen/bootstrapper.ts";
import { checkLength, NONCE_BYTES } from "../protocol/lengths.ts";
import { shownLists } from "../protocol/shown_lists.ts";
import { checkTokenFounding } from "../protocol/token_founding.ts";
import type { FounderChallenge, FounderPolicy } from "./founder_evidence.ts";
import { checkFounders, judgesFounders } from "./founder_evidence.ts";

/** What a node trusts, and what it has seen. */
export interface Loyalty {
  /** Whom it obeys, by its configuration, and what its own evidence is worth. */
  readonly trust: TrustPart;
  /** The policy of `trust.founding`, where the trust part has one. */
  readonly founders?: FounderPolicy;
  /** The cluster ID that the node's lock names, 32 bytes, if there is a lock. */
  readonly lockedTo?: Uint8Array;
  /** The only cluster that it may join, 32 bytes, if it knows one otherwise. Nothing else is left out for that. */
  readonly only?: Uint8Array;
  /**
   * Called with every cluster that one of the operators founded under the node's cluster name, and with every cluster
   * that founders of its own trust part founded, unless the node knows its cluster ID. Throws if there are two.
   */
  readonly noteFounded: (clusterId: Uint8Array) => void;
}

/** The connection's part of A1. */
export interface Opening {
  /** CB. */
  readonly binding: Uint8Array;
  /** N_c. */
  readonly clientNonce: Uint8Array;
}

/** A service that the node found to belong to its cluster. */
export interface FoundedService {
  /** 32 bytes. */
  readonly clusterId: Bytes;
  /** The cluster's CA, checked. */
  readonly ca: Certificate;
  /** The SPKI of the service's key, which signs its answer. */
  readonly serviceKey: Bytes;
  /** A1 of the connection. */
  readonly a1: Bytes;
  /** The checked foundings of the cluster, by operators of this node. */
  readonly foundings: readonly Founding[];
  /** The checked founding by the token of this node's trust part, if there is one. */
  readonly tokenFounding?: Uint8Array;
  /**
   * What is left to check where the node knows the cluster by its founders. Before it is done, the cluster counts for
   * nothing.
   */
  readonly founder?: FounderChallenge;
}

/** The most operators that a node can have. */
const MAXIMUM_FOUNDINGS = 64;

/**
 * Checks everything that a service must show, in this order:
 *
 * - the CA hashes to the cluster ID that the node knows, if it knows one;
 * - an operator's founding covers that ID and the node's cluster name, unless the configuration names the ID;
 * - the service's certificate is issued by the CA, with the subject of a join service;
 * - the service's signature covers A1 of this connection, and with it all lists that the service showed;
 * - in place of an operator's founding: everything that the node's own `trust.founding` asks for.
 *
 * @throws {BootstrapError} `malformed/…`; `refused/…`, which names the check; the error of `noteFounded`.
 */
export async function checkProposal(
  proposal: JoinProposal,
  opening: Opening,
  loyalty: Loyalty,
  now: Date,
): Promise<FoundedService> {
  const serverNonce = checkLength(proposal.serverNonce, NONCE_BYTES, "server_nonce");
  const signature = checkLength(proposal.signature, SIGNATURE_BYTES, "signature");
  const clusterId = await clusterIdOf(readCertificate(proposal.caCertificate, "CA certificate"));
  for (const known of knownClusterIds(loyalty)) await checkCaCertificate(proposal.caCertificate, known);
  const ca = await checkCaCertificate(proposal.caCertificate, clusterId);
  const { valid: foundings, reason } = await checkFoundings(proposal.foundings, clusterId, loyalty);
  const isFounded = foundings.length > 0 || needsNoFounding(loyalty);
  if (!isFounded && loyalty.trust.founding === undefined) throw reason ?? noFounding(clusterId);
  const service = await checkServiceCertificate(proposal.serviceCertificate, ca, now);
  const a1 = await joinA1({ ...opening, serverNonce, clusterId, lists: shownLists(proposal) });
  await verify(service.spki, "service", a1, signature);
  const founded = { clusterId, ca, serviceKey: service.spki, a1, foundings };
  const founder = isFounded
    ? undefined
    : await checkFounders(proposal, { a1, clusterId }, loyalty.trust, loyalty.founders);
  const tokenFounding = await tokenFoundingIn(proposal, clusterId, loyalty);
  return { ...founded, ...present("tokenFounding", tokenFounding), ...present("founder", founder) };
}

/** Whether the node may have to judge the evidence of a founder: it knows its cluster by nothing else yet. */
export function wantsEvidence(loyalty: Pick<Loyalty, "trust" | "lockedTo">): boolean {
  return judgesFounders(loyalty.trust) && !needsNoFounding(loyalty);
}

/**
 * Notes a cluster that founders of the node's own trust part founded, after everything of it is checked. Such a cluster
 * conflicts with another one as an operator's does.
 *
 * @throws {BootstrapError} The error of `noteFounded`.
 */
export function noteFounders({ founder, clusterId }: FoundedService, { noteFounded }: Loyalty): void {
  if (founder !== undefined) noteFounded(clusterId);
}

/**
 * Whether the CA alone shows that the service is of the node's cluster: its configuration names the cluster ID, or an
 * earlier start locked the node, and had seen what the founders show.
 */
function needsNoFounding({ trust, lockedTo }: Pick<Loyalty, "trust" | "lockedTo">): boolean {
  return trust.clusterId.length > 0 || (lockedTo !== undefined && trust.founding !== undefined);
}

function knownClusterIds({ trust, lockedTo, only }: Pick<Loyalty, "trust" | "lockedTo" | "only">): Uint8Array[] {
  const none = new Uint8Array(0);
  return [trust.clusterId, lockedTo ?? none, only ?? none].filter(({ length }) => length > 0);
}

/** Returns the foundings of this cluster that count, and why the first of the others does not. */
async function checkFoundings(
  foundings: readonly Founding[],
  clusterId: Bytes,
  loyalty: Loyalty,
): Promise<{ readonly valid: readonly Founding[]; readonly reason?: BootstrapError }> {
  if (foundings.length > MAXIMUM_FOUNDINGS) {
    throw new BootstrapError("malformed/join-message", `Cannot read more than ${MAXIMUM_FOUNDINGS} "foundings"`, {
      details: { field: "foundings" },
    });
  }
  let reason: BootstrapError | undefined;
  const valid: Founding[] = [];
  for (const founding of foundings) {
    try {
      await checkFounding(founding, loyalty.trust, checkedId(founding));
    } catch (error) {
      reason ??= asBootstrapError(error);
      continue;
    }
    if (knownClusterIds(loyalty).length === 0) loyalty.noteFounded(founding.clusterId);
    if (equalBytes(founding.clusterId, clusterId)) valid.push(founding);
  }
  return { valid, ...present("reason", reason) };
}

/** The token founding, if it counts for this node: a control plane hands it on. */
async function tokenFoundingIn(
  { tokenFounding }: JoinProposal,
  clusterId: Bytes,
  { trust }: Loyalty,
): Promise<Uint8Array | undefined> {
  if (tokenFounding === undefined) return undefined;
  return await checkTokenFounding(tokenFounding, trust, clusterId).then(() => tokenFounding, () => undefined);
}

function noFounding(clusterId: Bytes): BootstrapError {
  return refusal(
    "founding",
    "The join service shows no founding of its cluster",
    `a founding of ${clusterIdText(clusterId)} by an operator of this node`,
    "none",
  );
}

function checkedId({ clusterId }: Founding): Uint8Array {
  return checkLength(clusterId, CLUSTER_ID_BYTES, "foundings.cluster_id");
}
