/**
 * A hostile node and a hostile join service, and the conditions that hold after each of their attacks: no node was
 * admitted, nothing was signed, and no node was locked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { listen } from "../../../channel/server.ts";
import type { Session } from "../../../channel/server.ts";
import { activationAnswer } from "../../../protocol/activation.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer } from "../../../attestation/evidence.ts";
import { joinA1, joinA2 } from "../../../protocol/transcript.ts";
import type { JoinContext, NodeStatement } from "../../../protocol/transcript.ts";
import { createNodeCsr } from "../../../certificate/csr.ts";
import { sign } from "../../../protocol/signature.ts";
import type { JoinExchange } from "../../../join/exchange_client.ts";
import type { JoinExchangeService, JoinServiceIdentity } from "../../../service/exchange_parts.ts";
import type { NodeRequest } from "../../../protocol/join_request.ts";
import type { NodeKeys } from "../../../protocol/node_keys.ts";
import { encodeRequest } from "../../../protocol/join_request.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { listenForJoins } from "../../../service/testing/join_listener.ts";
import { dialService, newInsecureIssuer, newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import { TestMachine } from "../../exchanges/join_machine.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, randomBytes } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { JoinClientMessage, JoinServiceService, JoinTicket } from "../../../proto/gen/bootstrapper.ts";
import type { JoinServerMessage, SignedJoinRequest } from "../../../proto/gen/bootstrapper.ts";
import { checkProposal } from "../../../join/proposal.ts";
import { PATIENCE_MS } from "./attacks.ts";
import { assertThrownBy } from "./stopped_by.ts";

export const NODE_NAME = "worker-1";

/** The names of the node's messages. */
export type JoinStep = NonNullable<JoinClientMessage["message"]>["$case"];

/** All values that A2 contains. */
export interface JoinSeen extends JoinContext, NodeStatement {
  readonly a1: Bytes;
}

/** The deviations of a hostile node, which otherwise follows the protocol. */
export interface Hostility {
  /** The issuer. Default: one of variant `none`. */
  readonly issuer?: Pick<EvidenceIssuer, "issue" | "activate" | "identityIsKey">;
  /** N_c. Default: a new one. */
  readonly clientNonce?: Uint8Array;
  /** The node's keys. Default: new ones. */
  readonly keys?: Required<NodeKeys>;
  /** Whether the request names the identity key. Default: if the issuer says so. */
  readonly namesIdentity?: boolean;
  /** Changes the request before it is signed. */
  readonly request?: Partial<NodeRequest>;
  /** Makes the evidence. */
  readonly evidence?: (a2: Bytes, seen: JoinSeen) => Promise<Evidence | undefined>;
  /** Signs A2. Default: K_c signs, for this protocol. */
  readonly sign?: (keys: NodeKeys, a2: Bytes) => Promise<Bytes>;
  /** Signs A2 as the identity. Default: the identity key signs, for this protocol. */
  readonly signIdentity?: (keys: Required<NodeKeys>, a2: Bytes) => Promise<Bytes>;
  /** Changes the message after it was signed. */
  readonly message?: (message: SignedJoinRequest) => SignedJoinRequest;
  /**
   * Called before the message of that name is sent, and after the ticket was received. It may send further messages.
   */
  readonly before?: (step: JoinStep | "end", exchange: JoinExchange) => Promise<void>;
  /** Collects all messages that were sent as the protocol requires, in order. */
  readonly sent?: JoinClientMessage[];
  /** Answers the challenge. */
  readonly answer?: (
    challenge: ActivationChallenge,
    a2: Bytes,
    exchange: JoinExchange,
  ) => Promise<Uint8Array>;
}

/** Joins by hand. Returns the ticket, or throws the service's refusal. */
export async function joinByHand(port: number, hostility: Hostility = {}): Promise<JoinTicket> {
  using dialled = await dialService(port);
  const { exchange } = dialled;
  const keys = hostility.keys ?? await newNodeKeys();
  const issuer = hostility.issuer ?? await newInsecureIssuer(keys.identity);
  const clientNonce = copyOf(hostility.clientNonce ?? randomBytes(32));
  const send = async (message: NonNullable<JoinClientMessage["message"]>) => {
    await hostility.before?.(message.$case, exchange);
    hostility.sent?.push({ message });
    // The service's answer comes with the next message, or instead of it.
    await exchange.send({ message }).catch(() => {});
  };
  await send({ $case: "hello", hello: { clientNonce } });
  const proposal = await exchange.receive("proposal", PATIENCE_MS);
  const { serverNonce, foundings: [founding] } = proposal;
  const clusterId = founding?.clusterId ?? new Uint8Array(32);
  const lists = shownLists(proposal);
  const context = { binding: exchange.binding, clientNonce, serverNonce, clusterId, lists };
  const a1 = await joinA1(context);
  const nodeName = hostility.request?.nodeName ?? NODE_NAME;
  const namesIdentity = hostility.namesIdentity ?? issuer.identityIsKey === true;
  const request = encodeRequest({
    purpose: "join",
    nodeName,
    role: "worker",
    clientCsr: await createNodeCsr(keys.node, nodeName),
    servingCsr: await createNodeCsr(keys.serving, nodeName),
    identityKey: namesIdentity ? keys.identity.spki : new Uint8Array(),
    timeMs: BigInt(Date.now()),
    addresses: ["192.0.2.7"],
    kubeletVersion: "v1.36.3",
    ...hostility.request,
  });
  const nodeKey = keys.node.spki;
  const sealingKey = keys.sealing.publicKey;
  const node = { nodeKey, sealingKey, request };
  const a2 = await joinA2(a1, node);
  const evidence = await (hostility.evidence ?? issuer.issue)(a2, { ...context, ...node, a1 });
  const signature = await (hostility.sign?.(keys, a2) ?? sign(keys.node, "request", a2));
  const signIdentity = hostility.signIdentity ?? (({ identity }, a2) => sign(identity, "identity", a2));
  const identitySignature = namesIdentity ? await signIdentity(keys, a2) : new Uint8Array();
  const honest: SignedJoinRequest = { request, nodeKey, sealingKey, evidence, signature, identitySignature };
  await send({ $case: "request", request: hostility.message?.(honest) ?? honest });
  for (;;) {
    const answer = await exchange.receiveAny(["challenge", "ticket"], PATIENCE_MS);
    if (answer.kind === "ticket") {
      await hostility.before?.("end", exchange);
      return JoinTicket.decode(answer.payload.ticket);
    }
    const answerWith = hostility.answer ??
      (async (challenge: ActivationChallenge) => activationAnswer(await issuer.activate(challenge), a2));
    const hmac = await answerWith(answer.payload, a2, exchange);
    await send({ $case: "activation", activation: { hmac: copyOf(hmac) } });
  }
}

/** Asserts that the attack left no trace at the service. */
export function assertUntouched(cluster: TestCluster, records = 0): void {
  assert.equal(cluster.admissions.records.length, records, "a node was admitted");
  assert.deepEqual([cluster.signed, cluster.signedServing], [[], []], "something was signed");
}

/**
 * Asserts that a service refuses with this code, and that the attack left no trace. Returns the error that the peer
 * received.
 */
export async function refusedByService(
  cluster: TestCluster,
  hostility: Hostility,
  code: string,
): Promise<BootstrapError> {
  const { length } = cluster.admissions.records;
  const error = await joinByHand(cluster.port, hostility).then(
    () => assert.fail("there was a ticket"),
    asBootstrapError,
  );
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], "peer");
  assert.equal(cluster.refusals.at(-1), code);
  assertUntouched(cluster, length);
  return error;
}

/**
 * Runs a hostile service, which plays `handle` after the hello, while `use` runs. Returns whether a node sent it a
 * request.
 */
export async function withHostileService(
  handle: (session: Session<JoinClientMessage, JoinServerMessage>, clientNonce: Uint8Array) => Promise<void>,
  use: (port: number) => Promise<void>,
): Promise<boolean> {
  let gotRequest = false;
  await using server = await listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle(session) {
      const { clientNonce } = await session.exchange.receive("hello", PATIENCE_MS);
      await handle(session, clientNonce);
      await session.exchange.receive("request", PATIENCE_MS);
      gotRequest = true;
    },
  });
  await use(server.port);
  return gotRequest;
}

/** Has a node that is configured for `trust` ask at `port`. Returns the failure of its first attempt. */
export async function firstFailure(
  port: number,
  trust: TestCluster["trust"],
  issuer?: EvidenceIssuer,
): Promise<BootstrapError> {
  await using machine = await TestMachine.create();
  const failed = Promise.withResolvers<BootstrapError>();
  const running = machine.run(trust, [port], issuer === undefined ? {} : { issuer }, {
    onEndpointFailure: ({ error }) => failed.resolve(error),
  });
  const outcome = await Promise.race([failed.promise, running]);
  machine.stop.abort();
  await running.catch(() => {});
  assert.ok(outcome instanceof BootstrapError, "the node was captured");
  assert.equal(machine.lock.state().name, "unlocked");
  assert.ok(!machine.calls.some((call) => call === "locked" || call.startsWith("join ")), machine.calls.join());
  return outcome;
}

/**
 * Connects a node to a genuine service whose identity was tampered with. The node must refuse before it sends any data
 * of its own.
 */
export async function refusedByNode(
  cluster: TestCluster,
  identity: Partial<JoinServiceIdentity>,
  code: string,
  trust = cluster.trust,
): Promise<BootstrapError> {
  const service: JoinExchangeService = { ...cluster.service, identity: { ...cluster.service.identity, ...identity } };
  await using hostile = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
  const error = await firstFailure(hostile.port, trust);
  assert.equal(error.code, code, error.message);
  assertThrownBy(error, checkProposal);
  assert.equal(error.details["saidBy"], undefined, "the service refused, not the node");
  assertUntouched(cluster);
  return error;
}
