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
import { refusal } from "../protocol/refusal.ts";
import { checkActivationAnswer } from "../protocol/activation.ts";
import { peerGroup } from "../channel/peer_group.ts";
import type { Session } from "../channel/server.ts";
import type { EvidenceCheck, Expectation, VerifiedEvidence } from "../attestation/evidence.ts";
import { FRESH, NO_IDENTITY } from "../attestation/evidence.ts";
import { CollateralWanted } from "../attestation/collateral_wanted.ts";
import { verifyEvidence } from "../attestation/verify_evidence.ts";
import { answerStatement, extendedOnce, joinA1, joinA2, lockDigest } from "../protocol/transcript.ts";
import { trustExpectation } from "../attestation/policy/accepted_trust.ts";
import { checkNodeCsr, readCsr } from "../certificate/csr.ts";
import { sign, SIGNATURE_BYTES, verify } from "../protocol/signature.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64, copyOf, equalBytes, hex, randomBytes, sha256 } from "../platform/bytes.ts";
import { checkClockSkew } from "../platform/clock_skew.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { LogFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { Evidence, JoinTicket } from "../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage, SealedKit, SignedJoinRequest } from "../proto/gen/bootstrapper.ts";
import { checkLength, NONCE_BYTES } from "../protocol/lengths.ts";
import { checkClaims } from "./claims_check.ts";
import type { QueuedNode } from "./control_plane_queue.ts";
import type { NodeRequest } from "../protocol/join_request.ts";
import { readRequest } from "../protocol/join_request.ts";
import { checkKubeletVersion } from "./kubelet_version.ts";
import { identityOfKey, SEALING_KEY_BYTES } from "../protocol/node_keys.ts";
import { shownLists } from "../protocol/shown_lists.ts";
import { recordAndSign } from "./node_certificates.ts";
import type { ControlPlaneAdmission, JoinExchangeService } from "./exchange_parts.ts";

/** A kind of evidence wants a certificate first, and then lists of what is revoked. A machine has two kinds at most. */
const MOST_FETCH_ROUNDS = 4;

/** One Join exchange, from the service's side. */
export type JoinSession = Session<JoinClientMessage, JoinServerMessage>;

/** What is known of the node so far, for the log. */
interface Known {
  node?: string;
  role?: string;
  purpose?: string;
  identity?: string;
}

/** What a node asked for, with everything that its key is bound to. */
interface SignedRequest {
  readonly request: NodeRequest;
  /** SPKI_c. */
  readonly nodeKey: Uint8Array;
  /** E_c. */
  readonly sealingKey: Uint8Array;
  readonly evidence: Evidence;
  /** By the identity key of the request; empty if it has none. */
  readonly identitySignature: Uint8Array;
  readonly a2: Bytes;
}

/** A node whose evidence was verified. */
interface CheckedNode extends SignedRequest, VerifiedEvidence {
  /** SPKI_s. */
  readonly servingKey: Uint8Array;
}

/** A node that is proven to be at the other end of the connection. */
type VerifiedNode = Omit<CheckedNode, "challenge">;

/**
 * Serves one exchange.
 *
 * @throws {BootstrapError} The reason why there is no ticket. The channel sends it to the node.
 */
export async function serveJoin(channel: JoinSession, service: JoinExchangeService): Promise<void> {
  const known: Known = {};
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

/** Step 3, the message: the holder of K_c sent it, on this connection. */
async function readSignedRequest(message: SignedJoinRequest, a1: Bytes): Promise<SignedRequest> {
  const { nodeKey, request, evidence } = message;
  const sealingKey = checkLength(message.sealingKey, SEALING_KEY_BYTES, "sealing_key");
  const signature = checkLength(message.signature, SIGNATURE_BYTES, "signature");
  if (evidence === undefined) {
    throw new BootstrapError("malformed/join-message", 'Cannot read the message as "evidence" is missing', {
      details: { field: "evidence" },
    });
  }
  const a2 = await joinA2(a1, { nodeKey, sealingKey, request });
  await verify(nodeKey, "request", a2, signature);
  const { identitySignature } = message;
  return { request: readRequest(request), nodeKey, sealingKey, evidence, identitySignature, a2 };
}

/**
 * Step 3, the request: both CSRs have exactly the node's subject, one of them for exactly the key that is bound to the
 * evidence. Returns SPKI_s: the key of the other, which the request binds.
 */
async function checkCsrs({ request, nodeKey }: SignedRequest): Promise<Uint8Array> {
  const { nodeName } = request;
  checkNodeCsr(await readCsr(request.clientCsr), nodeName, nodeKey);
  const serving = await readCsr(request.servingCsr);
  checkNodeCsr(serving, nodeName, serving.spki);
  if (!equalBytes(serving.spki, nodeKey)) return serving.spki;
  throw refusal(
    "csr-serving-key",
    "A node asks for both of its certificates with one key",
    "another key than that of the client certificate",
    hex(serving.spki),
  );
}

/**
 * Step 3, the machine's key: present exactly where the kind of evidence says that the identity is a key. Its holder
 * signed this request.
 */
async function checkIdentityKey({ verifier }: JoinExchangeService, signed: SignedRequest): Promise<void> {
  const { request: { identityKey }, evidence, identitySignature, a2 } = signed;
  // The verifier refuses evidence of another variant, and says so.
  if (evidence.variant !== verifier.variant) return;
  const isExpected = verifier.identityIsKey === true;
  if (isExpected !== identityKey.length > 0 || isExpected !== identitySignature.length > 0) {
    const which = isExpected ? "must have an identity key and its signature" : "must have no identity key";
    throw new BootstrapError(
      "malformed/join-request",
      `Cannot read the join request as a machine with evidence of variant ${verifier.variant} ${which}`,
      { details: { field: "identity_key" } },
    );
  }
  if (isExpected) {
    await verify(identityKey, "identity", a2, checkLength(identitySignature, SIGNATURE_BYTES, "identity_signature"));
  }
}

/**
 * Step 3, the machine: its evidence. Refusals give the reason, with the policy's values, only to a machine that is known:
 * its own people must understand them, and a stranger must not learn what a policy wants.
 */
async function checkEvidence(
  { explainRefusals }: JoinSession,
  service: JoinExchangeService,
  signed: SignedRequest,
  known: Known,
): Promise<SignedRequest & VerifiedEvidence> {
  const { verifier } = service;
  const expectation = await expectationOf(service, signed.request);
  const ended: EvidenceCheck[] = [];
  const report = (check: EvidenceCheck) => void ended.push(check);
  let verified: VerifiedEvidence;
  try {
    verified = await verifyEvidence(verifier, signed.evidence, signed.a2, expectation, report);
  } catch (error) {
    if (await isFromKnownMachine(service, ended, expectation)) explainRefusals();
    throw error;
  }
  if (verified.challenge === undefined || await isFromKnownMachine(service, ended, expectation)) explainRefusals();
  const { identity } = verified.claims;
  known.identity = identity;
  if (verifier.identityIsKey === true && identity !== expectation.identity) {
    throw refusal(
      "identity-key",
      "The evidence is of another machine than the identity key",
      expectation.identity,
      identity,
    );
  }
  return { ...signed, ...verified };
}

/**
 * Whether evidence is of a machine that may hear why it is refused: its vendor signed it, or its identity is one that the
 * policy names or that has an admission record. Where the identity is a key, that key has signed the request. That the
 * owner of an endorsement key is at the other end is not shown yet.
 */
async function isFromKnownMachine(
  { verifier: { identityCheck, identityIsKey, vendorChecks = [] }, namesIdentity, admissions }: JoinExchangeService,
  ended: readonly EvidenceCheck[],
  expectation: Expectation,
): Promise<boolean> {
  const hasPassed = (name: string) => ended.some(({ check, passed }) => check === name && passed);
  if (vendorChecks.length > 0 && vendorChecks.every(hasPassed)) return true;
  const identity = identityIsKey === true
    ? expectation.identity
    : ended.find(({ check, passed }) => check === identityCheck && passed)?.seen;
  if (identity === undefined) return false;
  return namesIdentity(identity) || await admissions.find(identity).catch(() => undefined) !== undefined;
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
 * What a node of this cluster may show. Whether a node that joins may show that it has locked is checked afterwards. A
 * node that renews must show it, where its kind of evidence has a register for the lock.
 */
async function expectationOf(
  { trust, acceptedTrust, identity: { clusterId } }: JoinExchangeService,
  { purpose, identityKey }: NodeRequest,
): Promise<Expectation> {
  const locked = await lockDigest(clusterId);
  return {
    ...await trustExpectation(acceptedTrust, trust, [new Uint8Array(0), clusterId]),
    lock: purpose === "renew" ? [locked] : [FRESH, locked],
    identity: identityKey.length === 0 ? NO_IDENTITY : await identityOfKey(identityKey),
  };
}

/** Step 5: checks what this identity may be in the cluster. */
async function checkPolicy(
  { request, claims }: VerifiedNode,
  service: JoinExchangeService,
): Promise<void> {
  const { roleOf, checkNodeName, network, admissions, identity, clusterVersion } = service;
  const { purpose, role, nodeName, kubeletVersion } = request;
  const permitted = roleOf(claims.identity);
  if (role === "control-plane" && permitted !== "control-plane") {
    throw refusal(
      "role",
      `The policy does not list the identity ${claims.identity} as a control plane`,
      permitted,
      role,
      "Configure the node as a worker, or have an operator add its identity to the policy",
      // If the identity is made anew with the machine, an operator can learn it only from here, and the node asks
      // again.
      claims.isEphemeral === true,
    );
  }
  checkNodeName(claims.identity, nodeName);
  // This is checked before anything is recorded.
  if (becomesControlPlane(request)) makerOfControlPlanes(service);
  checkClaims(request, network);
  if (purpose === "join" && !claims.fresh) {
    const record = await admissions.find(claims.identity);
    if (record?.nodeName !== nodeName || record.role !== role) {
      throw refusal(
        "pcr-15",
        `The register of the lock shows that this machine belongs to the cluster, but it is not admitted as ${role} ${nodeName}`,
        record === undefined ? hex(new Uint8Array(32)) : `${record.role} ${record.nodeName}`,
        record === undefined ? hex(await extendedOnce(await lockDigest(identity.clusterId))) : `${role} ${nodeName}`,
        "Build the node anew from its image, or give it the name and role that it was admitted with",
      );
    }
  }
  checkKubeletVersion(kubeletVersion, await clusterVersion());
}

/** Whether a request is for the cluster's keys. */
function becomesControlPlane({ purpose, role }: NodeRequest): boolean {
  return purpose === "join" && role === "control-plane";
}

/** Step 5: the admission is recorded before anything is signed or sealed. */
async function issueTicket(
  { exchange }: JoinSession,
  service: JoinExchangeService,
  node: VerifiedNode,
): Promise<void> {
  const { admissions, identity: { keys }, ticket: { apiEndpoints, joinEndpoints, clusterDocument } } = service;
  const { request, nodeKey, servingKey, sealingKey, a2, claims: { identity } } = node;
  const { nodeName, addresses } = request;
  const confirm = async () => {
    await service.confirmPolicy();
    await service.checkNotRemoved(nodeName);
    // A whole removal may have passed while a control plane waited for its turn.
    if (await admissions.find(identity) === undefined) throw noLongerAdmitted(identity, nodeName);
  };
  const uid = await admit(service, node);
  const sealedKit = becomesControlPlane(request)
    ? await admitControlPlane(service, { identity, nodeName, address: addresses[0] ?? "" }, confirm, sealingKey, a2)
    : undefined;
  const admission = { identity, uid, epoch: await service.currentEpoch() };
  const unsigned = await service.prepareCertificates({
    ...{ admissionUid: uid, epoch: admission.epoch, nodeName, addresses },
    ...{ clientKey: nodeKey, servingKey },
  });
  const { client, serving, notAfterMs } = await recordAndSign(admissions, admission, unsigned, confirm);
  const ticket = copyOf(
    JoinTicket.encode({
      clientCertificate: client.der,
      servingCertificate: serving.der,
      notAfterMs: BigInt(notAfterMs),
      clusterDocument,
      sealedKit,
      apiEndpoints: [...apiEndpoints],
      joinEndpoints: [...joinEndpoints],
    }).finish(),
  );
  const signature = await sign(keys, "ticket", await answerStatement(a2, ticket));
  await exchange.send({ message: { $case: "ticket", ticket: { ticket, signature } } });
}

function noLongerAdmitted(identity: string, nodeName: string): BootstrapError {
  return new BootstrapError("unavailable/admission-changed", `The admission of ${nodeName} has ended meanwhile`, {
    next: "Ask again",
    details: { identity, node: nodeName },
  });
}

/** Records the admission, and returns its UID. */
async function admit(
  service: JoinExchangeService,
  { request, nodeKey, evidence, claims }: VerifiedNode,
): Promise<string> {
  const { admissions, clock, log } = service;
  const { purpose, nodeName, role, addresses } = request;
  const { identity, resetCount, fresh, showsNoLock = false, facts: registers } = claims;
  await service.checkNotRemoved(nodeName);
  const encoded = copyOf(Evidence.encode(evidence).finish());
  const record = {
    ...{ identity, nodeName, role, addresses, evidence: encoded },
    policyNumber: await service.policyNumber(),
    nodeKey: base64(nodeKey),
    evidenceDigest: hex(await sha256(encoded)),
    attestedMs: clock.now().getTime(),
    ...present("resetCount", resetCount),
    ...present("registers", registers),
  };
  // A member that an operator removes meanwhile stays removed: only a fresh machine gets a record.
  const { before, uid } = await (purpose === "renew" || !fresh ? admissions.renew(record) : admissions.admit(record));
  if (before !== undefined && purpose === "join" && fresh && !showsNoLock && before.nodeKey !== base64(nodeKey)) {
    log.event("warn", "join-identity-fresh-again", { identity, node: nodeName });
  }
  return uid;
}

/** The part that admits control planes, if this service has it. */
function makerOfControlPlanes({ controlPlanes }: Pick<JoinExchangeService, "controlPlanes">): ControlPlaneAdmission {
  if (controlPlanes !== undefined) return controlPlanes;
  throw new BootstrapError(
    "unavailable/cluster-keys",
    "This join service does not have the keys that a control plane needs",
    {
      next:
        "Ask another control plane; on the one that refused, look at the log: journalctl -u bootstrapper-join-signer",
    },
  );
}

/** Admits one control plane at a time, and seals the cluster's keys for the attested E_c only. */
async function admitControlPlane(
  service: JoinExchangeService,
  node: QueuedNode,
  confirm: () => Promise<void>,
  sealingKey: Uint8Array,
  a2: Uint8Array,
): Promise<SealedKit> {
  const controlPlanes = makerOfControlPlanes(service);
  await controlPlanes.enter(node);
  await confirm();
  return await controlPlanes.seal(sealingKey, a2);
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
  await controlPlanes?.release(identity);
  log.event("info", "control-plane-turn-freed", { identity, node: request.nodeName });
}
