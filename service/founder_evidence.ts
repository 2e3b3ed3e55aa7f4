/**
 * What a join service shows of its own machine to nodes that know no cluster ID: evidence over A1, where the trust part
 * has a policy for founders.
 *
 * The signer has no device. Another process of the machine makes the evidence (`service/prover.ts`).
 *
 * @module
 */
import type { AcceptedTrust } from "../attestation/policy/accepted_trust.ts";
import { trustExpectation } from "../attestation/policy/accepted_trust.ts";
import type { Expectation } from "../attestation/evidence.ts";
import { peerGroup } from "../channel/peer_group.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Evidence, SignedJoinRequest } from "../proto/gen/bootstrapper.ts";
import type { ClusterTrust, JoinContext } from "../protocol/transcript.ts";
import type { FounderProver, JoinExchangeService, JoinSession } from "./exchange_parts.ts";
import type { FairQueueOptions } from "./fair_queue.ts";

/** One piece of evidence takes a TPM up to a second, and more in software emulation. */
export const FOUNDER_EVIDENCE_QUEUE: FairQueueOptions = Object.freeze({
  maximumActive: 1,
  maximumWaiting: 8,
  full: "The join service already makes as many pieces of evidence as it can",
});

/** Whether a cluster's trust part has a policy for founders. */
export function showsEvidence({ founding }: Pick<ClusterTrust, "founding">): boolean {
  return (founding?.policyDigest.length ?? 0) > 0;
}

/**
 * Step 2, for a node that wants it: the evidence of this machine, if the trust part has a policy for founders.
 *
 * @throws {BootstrapError} `unavailable/busy` if too many wait, `unavailable/founder-evidence`, or the reason why the peer
 *   is gone.
 */
export async function issueFounderEvidence(
  session: JoinSession,
  service: JoinExchangeService,
  context: JoinContext,
  isWanted: boolean,
): Promise<Evidence | undefined> {
  if (!isWanted || !showsEvidence(service.trust)) return undefined;
  return await oneAtATime(session, service, (prover) => prover.issue(context));
}

/**
 * Step 2a, if the node challenges the evidence that it got. Returns the request, which comes after it, or at once from a
 * node that knows the cluster otherwise.
 */
export async function answerJoiner(
  session: JoinSession,
  service: JoinExchangeService,
  context: JoinContext,
  evidence: Evidence | undefined,
): Promise<SignedJoinRequest> {
  const { exchange } = session;
  const { requestMs } = service.deadlines;
  if (evidence === undefined) return await exchange.receive("request", requestMs);
  const next = await exchange.receiveAny(["challenge", "request"], requestMs);
  if (next.kind === "request") return next.payload;
  const hmac = await oneAtATime(session, service, (prover) => prover.answer(context, next.payload));
  await exchange.send({ message: { $case: "activation", activation: { hmac } } });
  return await exchange.receive("request", requestMs);
}

function oneAtATime<T>(
  { exchange }: JoinSession,
  { prover, proofs }: JoinExchangeService,
  work: (prover: FounderProver) => Promise<T>,
): Promise<T> {
  if (prover === undefined) {
    throw new BootstrapError("unavailable/founder-evidence", "This join service has no way to this machine's devices");
  }
  return proofs.run(() => work(prover), exchange.closed, peerGroup(exchange.peerAddress));
}

/**
 * The trust part of machines that were made after the founding: the cluster's own name and operators, and no founding.
 * Such a machine must have the cluster's ID in its configuration. `undefined` where no founding is in the trust part.
 */
export function laterTrust({ clusterName, clusterId, operatorKeys, founding }: ClusterTrust): ClusterTrust | undefined {
  return founding === undefined ? undefined : { clusterName, clusterId, operatorKeys };
}

/**
 * What registers may show of the trust part of a node of this cluster: the service's own, with its cluster ID or none;
 * and that of later machines.
 */
export async function nodeTrustExpectation(
  accepted: AcceptedTrust,
  trust: ClusterTrust,
  clusterId: Uint8Array,
): Promise<Pick<Expectation, "trust" | "otherTrust">> {
  const own = await trustExpectation(accepted, trust, [new Uint8Array(0), clusterId]);
  const later = laterTrust({ ...trust, clusterId });
  if (later === undefined) return own;
  const withId = await trustExpectation(accepted, later, [clusterId]);
  return {
    trust: [...own.trust, ...withId.trust],
    otherTrust: async () => [...await own.otherTrust?.() ?? [], ...await withId.otherTrust?.() ?? []],
  };
}
