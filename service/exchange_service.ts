/**
 * The Join exchange from the join service's side, in five steps. After them, one attested identity has one ticket.
 *
 * | step | |
 * |---|---|
 * | 1. hello | N_c |
 * | 2. proposal | the service's identity, signed over A1 |
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
import type { JoinExchangeService, JoinSession, KnownNode } from "./exchange_parts.ts";
import { checkCsrs, type CheckedNode, checkEvidence, checkIdentityKey, readSignedRequest } from "./request_check.ts";
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
    const clientNonce = await receiveHello(session, service);
    const a1 = await propose(session, service, clientNonce);
    const message = await session.exchange.receive("request", service.deadlines.requestMs);
    const checked = await withDocuments(session, service, () =>
      inTurn(session, service, async () => {
        const signed = await readSignedRequest(message, a1);
        const { nodeName: node, role, purpose } = signed.request;
        Object.assign(known, { node, role, purpose });
        const servingKey = await checkCsrs(signed);
        await checkIdentityKey(service, signed);
        const checked = { ...await checkEvidence(session, service, signed, known), servingKey };
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
async function receiveHello({ exchange }: JoinSession, { deadlines }: JoinExchangeService): Promise<Uint8Array> {
  const { clientNonce } = await exchange.receive("hello", deadlines.helloMs);
  return checkLength(clientNonce, NONCE_BYTES, "client_nonce");
}

/** Step 2: shows the service's identity, and returns A1. */
async function propose(
  session: JoinSession,
  service: JoinExchangeService,
  clientNonce: Uint8Array,
): Promise<Bytes> {
  const { exchange } = session;
  const { clusterId, caCertificate, foundings, certificate, keys } = service.identity;
  const serverNonce = randomBytes(NONCE_BYTES);
  const lists = shownLists({ foundings, successions: [], documents: [] });
  const a1 = await joinA1({ binding: exchange.binding, clientNonce, serverNonce, clusterId, lists });
  const signature = await inTurn(session, service, () => sign(keys, "service", a1));
  const proposal = {
    serverNonce,
    caCertificate,
    foundings: [...foundings],
    serviceCertificate: certificate,
    signature,
    successions: [],
    documents: [],
  };
  await exchange.send({ message: { $case: "proposal", proposal } });
  return a1;
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
