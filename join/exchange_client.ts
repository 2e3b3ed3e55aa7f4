/**
 * The Join exchange from the node's side.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import { addressesOf } from "../kubernetes/documents.ts";
import { activationAnswer } from "../protocol/activation.ts";
import type { Exchange } from "../channel/exchange.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { joinA2 } from "../protocol/transcript.ts";
import { createNodeCsr } from "../certificate/csr.ts";
import { sign } from "../protocol/signature.ts";
import type { Bytes } from "../platform/bytes.ts";
import { randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import { encodeRequest } from "../protocol/join_request.ts";
import type { JoinPurpose } from "../protocol/join_request.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { FoundedService, Loyalty } from "./proposal.ts";
import { challengeFounder } from "./founder_evidence.ts";
import { checkProposal, noteFounders, wantsEvidence } from "./proposal.ts";
import type { Ticket } from "./ticket.ts";
import { checkTicket } from "./ticket.ts";

/** How long the node waits for a silent service, in milliseconds. */
export interface JoinClientDeadlines {
  /** From the hello to the proposal. The exchange may have to wait for its turn. */
  readonly proposalMs: number;
  /** From the request to the challenge. A verification may have to wait for its turn. */
  readonly challengeMs: number;
  /**
   * To the ticket. It is longer than the service waits for the API server.
   */
  readonly ticketMs: number;
}

/** The deadlines of a node. */
export const JOIN_CLIENT_DEADLINES: JoinClientDeadlines = Object.freeze({
  proposalMs: 30_000,
  challengeMs: 60_000,
  ticketMs: 120_000,
});

/** The node that asks for a ticket. */
export interface JoiningNode extends Loyalty {
  /** Whether it asks in order to join, or as a member for new certificates. */
  readonly purpose: JoinPurpose;
  /** The node's name, its address, and the role that it asks for. */
  readonly self: NodeSelf;
  /** The kubelet's version, such as `v1.36.3`. */
  readonly kubeletVersion: string;
  /** K_c, K_s, E_c, and the identity key where the issuer says that the identity is a key. */
  readonly keys: NodeKeys;
  /** The founding token's key. Only founders and later control planes have it. */
  readonly token?: KeyPair;
  readonly issuer: EvidenceIssuer;
  readonly deadlines: JoinClientDeadlines;
  /** The node's clock, which the service compares with its own. */
  readonly clock: Pick<Clock, "now">;
  /**
   * Runs the part that is done with one service at a time, from the evidence to the ticket. Services that show
   * themselves meanwhile wait, so a node never asks twice.
   */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
}

/** One Join exchange, from the node's side. */
export type JoinExchange = Exchange<JoinServerMessage, JoinClientMessage>;

/**
 * Asks one service for a ticket, in five steps. The node goes beyond the second step only with a service of the cluster
 * that it knows, or of one that one of its operators or the founders of its own trust part founded.
 *
 * @throws {BootstrapError} The refusal by the service or by this side.
 */
export async function obtainTicket(exchange: JoinExchange, node: JoiningNode): Promise<Ticket> {
  const clientNonce = randomBytes(NONCE_BYTES);
  const hello = { clientNonce, ...wantsEvidence(node) ? { wantsEvidence: true } : {} };
  await exchange.send({ message: { $case: "hello", hello } });
  const proposal = await exchange.receive("proposal", node.deadlines.proposalMs);
  const service = await checkProposal(proposal, { binding: exchange.binding, clientNonce }, node, node.clock.now());
  if (service.founder !== undefined) await challengeFounder(exchange, service.founder, node.deadlines.challengeMs);
  noteFounders(service, node);
  return await node.exclusively(async () => {
    exchange.closed.throwIfAborted();
    const a2 = await sendRequest(exchange, node, service);
    await answerChallenge(exchange, node, a2);
    const ticket = await exchange.receive("ticket", node.deadlines.ticketMs);
    const { self, purpose, keys } = node;
    return await checkTicket(ticket, service, { ...self, purpose, keys }, a2, node.clock.now());
  });
}

/** Step 3. Returns A2. */
async function sendRequest(exchange: JoinExchange, node: JoiningNode, service: FoundedService): Promise<Bytes> {
  const { purpose, self, kubeletVersion, keys, issuer, clock } = node;
  const identity = identityKeyOf(node);
  const request = encodeRequest({
    purpose,
    nodeName: self.name,
    role: self.role,
    clientCsr: await createNodeCsr(keys.node, self.name),
    servingCsr: await createNodeCsr(keys.serving, self.name),
    identityKey: identity?.spki ?? new Uint8Array(),
    timeMs: BigInt(clock.now().getTime()),
    addresses: addressesOf(self),
    kubeletVersion,
  });
  const nodeKey = keys.node.spki;
  const sealingKey = keys.sealing.publicKey;
  const a2 = await joinA2(service.a1, { nodeKey, sealingKey, request });
  const { variant, payload } = await issuer.issue(a2);
  const signature = await sign(keys.node, "request", a2);
  const identitySignature = identity === undefined ? new Uint8Array() : await sign(identity, "identity", a2);
  const tokenSignature = await signByToken(node, a2);
  const evidence = { variant, payload };
  await exchange.send({
    message: {
      $case: "request",
      request: { request, nodeKey, sealingKey, evidence, signature, identitySignature, tokenSignature },
    },
  });
  return a2;
}

/** Shows that a machine that is to be a control plane has the founding token. `undefined` for every other request. */
async function signByToken({ token, purpose, self: { role } }: JoiningNode, a2: Bytes): Promise<Bytes | undefined> {
  if (token === undefined || purpose !== "join" || role !== "control-plane") return undefined;
  return await sign(token, "token-join", a2);
}

/** The machine's key, if its kind of evidence knows it by a key. */
function identityKeyOf({ keys, issuer }: JoiningNode): KeyPair | undefined {
  if (issuer.identityIsKey !== true) return undefined;
  if (keys.identity !== undefined) return keys.identity;
  throw new BootstrapError("internal/argument", `Evidence of variant ${issuer.variant} needs an identity key`);
}

/** Step 4, if the node's kind of evidence has a challenge. */
async function answerChallenge(exchange: JoinExchange, { issuer, deadlines }: JoiningNode, a2: Bytes): Promise<void> {
  if (!issuer.isChallenged) return;
  const challenge = await exchange.receive("challenge", deadlines.challengeMs);
  const secret = await issuer.activate(challenge);
  const hmac = await activationAnswer(secret, a2);
  secret.fill(0);
  await exchange.send({ message: { $case: "activation", activation: { hmac } } });
}
