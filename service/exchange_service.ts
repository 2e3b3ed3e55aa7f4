/**
 * The Join exchange from the join service's side, in five steps. After them, one attested identity has one ticket.
 *
 * | step | |
 * |---|---|
 * | 1. hello | N_c |
 * | 2. proposal | the service's identity, signed over A1; for a node that wants it, evidence of the service's machine |
 * | 2a. challenge | the node's, if it judges that evidence |
 * | 3. request | what the node asks for, signed by K_c and by its identity key if it has one, with evidence over A2 |
 * | 4. activation | the TPM of the evidence shows that it is at the other end; then the node is completely verified |
 * | 5. ticket | policy, admission record, certificates; signed over A2 |
 *
 * @module
 */
import { CollateralWanted } from "../attestation/collateral_wanted.ts";
import { peerGroup } from "../channel/peer_group.ts";
import type { Bytes } from "../platform/bytes.ts";
import { randomBytes } from "../platform/bytes.ts";
import { checkClockSkew } from "../platform/clock_skew.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { LogFields } from "../platform/log.ts";
import { checkActivationAnswer } from "../protocol/activation.ts";
import { checkLength, NONCE_BYTES } from "../protocol/lengths.ts";
import { shownLists } from "../protocol/shown_lists.ts";
import { sign } from "../protocol/signature.ts";
import { joinA1 } from "../protocol/transcript.ts";
import type { JoinContext } from "../protocol/transcript.ts";
import type { Evidence, JoinHello } from "../proto/gen/bootstrapper.ts";
import type { JoinExchangeService, JoinSession, KnownNode } from "./exchange_parts.ts";
import { answerJoiner, issueFounderEvidence } from "./founder_evidence.ts";
import {
  checkCsrs,
  type CheckedNode,
  checkEvidence,
  checkIdentityKey,
  checkToken,
  readSignedRequest,
} from "./request_check.ts";
import { becomesControlPlane, checkPolicy, issueTicket, type VerifiedNode } from "./ticket.ts";

/** A kind of evidence wants a certificate first, and then lists of what is revoked. A machine has two kinds at most. */
const MOST_FETCH_ROUNDS = 4;

/**
 * Serves one exchange.
 *
 * @throws {BootstrapError} The reason why there is no ticket. The channel sends it to the node.
 */
export async function serveJoin(channel: JoinSession, service: JoinExchangeService): Promise<void> {
  const known: KnownNode = {};
  let isKnown = false;
  const session: JoinSession = {
    exchange: channel.exchange,
    explainRefusals() {
      isKnown = true;
      channel.explainRefusals();
    },
    trustPeer() {
      isKnown = true;
      channel.trustPeer();
    },
  };
  const startMs = service.clock.monotonicMs();
  const fields = (): LogFields => ({
    ...known,
    peer: session.exchange.peerAddress,
    durationMs: Math.round(service.clock.monotonicMs() - startMs),
  });
  try {
    const hello = await receiveHello(session, service);
    const { context, a1, evidence } = await propose(session, service, hello);
    const message = await answerJoiner(session, service, context, evidence);
    const checked = await withDocuments(session, service, () =>
      inTurn(session, service, async () => {
        const signed = await readSignedRequest(message, a1);
        const { nodeName: node, role, purpose } = signed.request;
        Object.assign(known, { node, role, purpose });
        const servingKey = await checkCsrs(signed);
        await checkIdentityKey(service, signed);
        const hasToken = becomesControlPlane(signed.request) && await checkToken(service, signed);
        const checked = { ...await checkEvidence(session, service, signed, known), servingKey, hasToken };
        // The clock is checked only now, so that the refusal names the machine whose clock must be set.
        checkClockSkew(signed.request.timeMs, service.clock.now(), service.maximumClockSkewMs);
        return checked;
      }));
    const verified = await verifyNode(session, service, checked);
    await service.confirmPolicy();
    await checkPolicy(verified, service);
    await issueTicket(session, service, verified);
    service.log.event("info", "join-ticket-issued", fields());
    await awaitOutcome(session, service, verified);
  } catch (error) {
    const group = peerGroup(session.exchange.peerAddress);
    service.refusals.note(service.log, "join-refused", asBootstrapError(error), { group, isKnown, fields: fields() });
    throw error;
  }
}

/** Step 1. */
async function receiveHello({ exchange }: JoinSession, { deadlines }: JoinExchangeService): Promise<JoinHello> {
  const { clientNonce, wantsEvidence = false } = await exchange.receive("hello", deadlines.helloMs);
  return { clientNonce: checkLength(clientNonce, NONCE_BYTES, "client_nonce"), wantsEvidence };
}

/** What a proposal began. */
interface Proposed {
  /** The values in A1. */
  readonly context: JoinContext;
  readonly a1: Bytes;
  /** What the node may challenge. */
  readonly evidence: Evidence | undefined;
}

/** Step 2: shows the service's identity. */
async function propose(
  session: JoinSession,
  service: JoinExchangeService,
  { clientNonce, wantsEvidence }: JoinHello,
): Promise<Proposed> {
  const { exchange } = session;
  const { clusterId, caCertificate, foundings, tokenFounding, certificate, keys } = service.identity;
  const serverNonce = randomBytes(NONCE_BYTES);
  const lists = shownLists({ foundings, successions: [], documents: [] });
  const context = { binding: exchange.binding, clientNonce, serverNonce, clusterId, lists };
  const a1 = await joinA1(context);
  const evidence = await issueFounderEvidence(session, service, context, wantsEvidence === true);
  const signature = await inTurn(session, service, () => sign(keys, "service", a1));
  const proposal = {
    serverNonce,
    caCertificate,
    foundings: [...foundings],
    serviceCertificate: certificate,
    signature,
    successions: [],
    documents: [],
    tokenFounding,
    evidence,
  };
  await exchange.send({ message: { $case: "proposal", proposal } });
  return { context, a1, evidence };
}

/**
 * Runs costly work for a few peers at once, and for each part of the network in turn. The work never waits for a peer.
 */
function inTurn<T>({ exchange }: JoinSession, { queue }: JoinExchangeService, work: () => Promise<T>): Promise<T> {
  return queue.run(work, exchange.closed, peerGroup(exchange.peerAddress));
}

/**
 * Runs a verification, and again when the documents that it wants have been fetched. Fetches take none of the turns of
 * verifications.
 */
async function withDocuments<T>(
  { exchange }: JoinSession,
  { fetches }: JoinExchangeService,
  verification: () => Promise<T>,
): Promise<T> {
  for (let round = 0;; round++) {
    try {
      return await verification();
    } catch (error) {
      if (!(error instanceof CollateralWanted) || round >= MOST_FETCH_ROUNDS) throw error;
      await fetches.obtain(error, exchange.closed, peerGroup(exchange.peerAddress));
    }
  }
}

/**
 * Step 4: proves that the machine's TPM is at the other end of this connection. Before this step, no peer is trusted.
 */
async function verifyNode(
  { exchange, trustPeer }: JoinSession,
  { deadlines }: JoinExchangeService,
  { challenge, ...node }: CheckedNode,
): Promise<VerifiedNode> {
  if (challenge !== undefined) {
    const { credentialBlob, encryptedSecret } = challenge.message;
    await exchange.send({ message: { $case: "challenge", challenge: { credentialBlob, encryptedSecret } } });
    const { hmac } = await exchange.receive("activation", deadlines.activationMs);
    await checkActivationAnswer(hmac, challenge.secret, node.a2);
  }
  trustPeer();
  return node;
}

/**
 * Keeps a control plane's turn until the node says that its InitServer got it. A node that says nothing may have been
 * restarted, and asks again.
 */
async function awaitOutcome(
  { exchange }: JoinSession,
  { controlPlanes, deadlines, log }: JoinExchangeService,
  { request, claims: { identity, fresh } }: VerifiedNode,
): Promise<void> {
  if (!becomesControlPlane(request) || !fresh) return;
  const outcome = await exchange.receive("outcome", deadlines.outcomeMs).catch(() => undefined);
  if (outcome === undefined || outcome.locked) return;
  await controlPlanes.release(identity);
  log.event("info", "control-plane-turn-freed", { identity, node: request.nodeName });
}
