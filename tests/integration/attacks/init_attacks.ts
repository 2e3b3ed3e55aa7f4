/**
 * The two hostile parties of the Init exchange, played by hand: an operator against the real InitServer, and a node
 * against the real `bootstrapper init`. Each follows the protocol except where a test says otherwise.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { activationAnswer } from "../../../protocol/activation.ts";
import type { Exchange } from "../../../channel/exchange.ts";
import type { ChannelServer, Session } from "../../../channel/server.ts";
import { listen } from "../../../channel/server.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer, EvidenceVerifier } from "../../../attestation/evidence.ts";
import { createFounding } from "../../../protocol/founding.ts";
import type { InitContext } from "../../../protocol/transcript.ts";
import { answerStatement, helloStatement, initA1, initA2 } from "../../../protocol/transcript.ts";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { createCertificateAuthority, issueAdminCertificate } from "../../../certificate/ca.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import type { KeyPair } from "../../../certificate/keys.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { sign } from "../../../protocol/signature.ts";
import type { InitOptions } from "../../../operator/init_client.ts";
import type { InitWorld, TestOperator } from "../../exchanges/init_world.ts";
import { CLUSTER_DOCUMENT, CLUSTER_NAME, POLICY_DOCUMENT } from "../../exchanges/init_world.ts";
import { shownVerifier } from "../../exchanges/init_machine.ts";
import { untilAborted } from "../../../platform/abortable.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, randomBytes } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { exists } from "../../../platform/files.ts";
import { silentLog } from "../../../platform/log.ts";
import { InitRequest, InitResult, InitServiceService } from "../../../proto/gen/bootstrapper.ts";
import type {
  Founding,
  InitClientMessage,
  InitHello,
  InitServerMessage,
  SignedInitRequest,
} from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS } from "./attacks.ts";

/** The deviations of a hostile operator. */
export interface OperatorPlay {
  /** The operator's keys. Default: those of the node's operator. */
  readonly keys?: KeyPair;
  /** Changes the hello after it was signed. */
  readonly hello?: (honest: InitHello, binding: Bytes) => InitHello | Promise<InitHello>;
  /** The challenge. Default: one that the TPM of {@linkcode shownVerifier} opens. */
  readonly challenge?: ActivationChallenge;
  /** Changes the request before it is signed. */
  readonly request?: Partial<InitRequest>;
  /** Makes the founding. */
  readonly founding?: (clusterId: Bytes) => Promise<Founding | undefined>;
  /** Changes the message after it was signed. */
  readonly message?: (honest: SignedInitRequest) => SignedInitRequest;
  /** Called before the message of that name is sent. */
  readonly before?: (step: InitStep, exchange: OperatorExchange) => Promise<void>;
  /** Collects all messages that were sent, in order. */
  readonly sent?: InitClientMessage[];
  /** Collects all messages that were received, in order. */
  readonly received?: InitServerMessage[];
}

/** The exchange as a hostile operator sees it. */
export type OperatorExchange = Exchange<InitServerMessage, InitClientMessage>;

/** Resolves when the other side has ended the exchange, which is how long a peer stalls. */
export function untilClosed({ closed }: { readonly closed: AbortSignal }): Promise<void> {
  return untilAborted(closed).catch(() => {});
}

/** The names of the operator's messages. */
export type InitStep = NonNullable<InitClientMessage["message"]>["$case"];

/** Runs an init by hand. Returns the result, or throws the node's refusal. */
export async function initByHand(world: InitWorld, play: OperatorPlay = {}): Promise<InitResult> {
  using dialled = await world.dial();
  const { exchange } = dialled;
  const keys = play.keys ?? world.operator.keys;
  const send = async (message: NonNullable<InitClientMessage["message"]>) => {
    await play.before?.(message.$case, exchange);
    play.sent?.push({ message });
    // The node's answer comes with the next message, or instead of it.
    await exchange.send({ message }).catch(() => {});
  };
  const clientNonce = randomBytes(32);
  const signature = await sign(keys, "hello", await helloStatement(exchange.binding, clientNonce));
  const hello = { clientNonce, operatorKey: keys.spki, signature };
  await send({ $case: "hello", hello: await play.hello?.(hello, exchange.binding) ?? hello });

  const proposal = await exchange.receive("proposal", PATIENCE_MS);
  play.received?.push({ message: { $case: "proposal", proposal } });
  const { serverNonce } = proposal;
  const clusterId = copyOf(proposal.clusterId);
  const a1 = await initA1({ binding: exchange.binding, clientNonce, serverNonce, operatorKey: keys.spki, clusterId });
  if (isChallenged(proposal.evidence)) {
    const { credentialBlob, encryptedSecret } = play.challenge ??
      { credentialBlob: randomBytes(32), encryptedSecret: new Uint8Array() };
    await send({
      $case: "challenge",
      challenge: { credentialBlob: copyOf(credentialBlob), encryptedSecret: copyOf(encryptedSecret) },
    });
    const activation = await exchange.receive("activation", PATIENCE_MS);
    play.received?.push({ message: { $case: "activation", activation } });
  }

  const request = copyOf(InitRequest.encode({ ...await newRequest(), ...play.request }).finish());
  const founding = await (play.founding ?? ((id) => createFounding(keys, id, CLUSTER_NAME)))(clusterId);
  const honest = { request, signature: await sign(keys, "request", await initA2(a1, request)), founding, heard: 0 };
  await send({ $case: "request", request: play.message?.(honest) ?? honest });
  for (;;) {
    const { kind, payload } = await exchange.receiveAny(["progress", "result"], PATIENCE_MS);
    if (kind === "progress") continue;
    await send({ $case: "acknowledgement", acknowledgement: {} });
    await dialled.finish();
    return InitResult.decode(payload.result);
  }
}

function isChallenged(evidence: Evidence | undefined): boolean {
  return evidence?.variant.split("+").includes("tpm") === true;
}

/** A request that every node accepts. */
export async function newRequest(): Promise<InitRequest> {
  return {
    operationId: randomBytes(16),
    clusterName: CLUSTER_NAME,
    adminKey: (await generateKeyPair("p-256")).spki,
    clusterDocument: CLUSTER_DOCUMENT,
    policyDocument: POLICY_DOCUMENT,
    timeMs: BigInt(Date.now()),
  };
}

/** Asserts that the attack left no trace on the node: no lock, no key on disk, no cluster. */
export async function assertFresh(world: InitWorld): Promise<void> {
  assert.equal(world.lock.state().name, "unlocked", "the node was locked");
  assert(!await exists(join(world.folder, "node.lock")), "there is a lock on disk");
  assert(!await world.hasStaged(), "there are keys on disk");
  assert.equal(world.foundings, 0, "a cluster was made");
}

/** Asserts that a node refuses with this code and stays fresh. Returns the error that the operator received. */
export async function refusedByNode(world: InitWorld, play: OperatorPlay, code: string): Promise<BootstrapError> {
  const error = await initByHand(world, play).then(() => assert.fail("a cluster was founded"), asBootstrapError);
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], "peer", "the node did not refuse");
  await assertFresh(world);
  return error;
}

/** One exchange of a hostile node. */
export type NodeSession = Session<InitClientMessage, InitServerMessage>;

/** A node that pretends to be another one. */
export interface HostileNode extends AsyncDisposable {
  readonly port: number;
  readonly endpoint: string;
  /** The names of all messages that an operator sent after its hello. */
  readonly received: string[];
}

/** The actions of a hostile node after the hello. It adds the messages that it receives to `received`. */
export type Script = (session: NodeSession, hello: InitHello, received: string[]) => Promise<unknown>;

/** Starts a hostile node. Messages that an operator sends after the play are received and recorded. */
export async function startHostileNode(play: Script): Promise<HostileNode> {
  const received: string[] = [];
  const server: ChannelServer = await listen<InitClientMessage, InitServerMessage>({
    ...{ service: InitServiceService, host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle(session) {
      const { exchange } = session;
      await play(session, await exchange.receive("hello", PATIENCE_MS), received);
      for (;;) {
        received.push((await exchange.receiveAny(["challenge", "request", "acknowledgement"], PATIENCE_MS)).kind);
      }
    },
  });
  const { port } = server;
  return { port, endpoint: `127.0.0.1:${port}`, received, [Symbol.asyncDispose]: () => server.close() };
}

/** The proposal of a hostile node, and its answer to the challenge. */
export interface NodePlay {
  /** Makes the evidence over A1. */
  readonly evidence: (a1: Bytes, seen: InitContext) => Promise<Evidence | undefined>;
  /** Answers the challenge. Default: no answer. */
  readonly answer?: (challenge: ActivationChallenge, a1: Bytes) => Promise<Uint8Array>;
  /** The cluster ID of the proposal. Default: that of a new CA. */
  readonly clusterId?: Uint8Array;
}

/** The honest behaviour of a node in steps 2 and 3. */
export function honestly(issuer: Pick<EvidenceIssuer, "issue" | "activate" | "isChallenged">): NodePlay {
  const evidence: NodePlay["evidence"] = (a1) => issuer.issue(a1);
  if (!issuer.isChallenged) return { evidence };
  return {
    evidence,
    answer: async (challenge, a1) => await activationAnswer(await issuer.activate(challenge), a1),
  };
}

/** The CA that a hostile node made, and A1 of its exchange. */
export interface HostileAuthority extends CertificateAuthority<KeyPair> {
  readonly a1: Bytes;
}

/** Plays steps 2 and 3 of a hostile node. Returns the CA that it made. */
export async function playNode(
  { exchange }: NodeSession,
  { clientNonce, operatorKey }: InitHello,
  { evidence, answer, clusterId: stolenId }: NodePlay,
  received: string[],
): Promise<HostileAuthority> {
  const authority = await createCertificateAuthority(new Date());
  const clusterId = copyOf(stolenId ?? await clusterIdOf(authority.certificate));
  const serverNonce = randomBytes(32);
  const context = { binding: exchange.binding, clientNonce, serverNonce, operatorKey, clusterId };
  const a1 = await initA1(context);
  const made = await evidence(a1, context);
  const proposal = { serverNonce, clusterId, evidence: made && { variant: made.variant, payload: made.payload } };
  await exchange.send({ message: { $case: "proposal", proposal } });
  if (answer === undefined) return { ...authority, a1 };
  const challenge = await exchange.receive("challenge", PATIENCE_MS);
  received.push("challenge");
  await exchange.send({ message: { $case: "activation", activation: { hmac: copyOf(await answer(challenge, a1)) } } });
  return { ...authority, a1 };
}

/** The result that an honest node sends for a request. */
export async function resultFor(authority: CertificateAuthority, adminKey: Uint8Array): Promise<InitResult> {
  return {
    adminCertificate: (await issueAdminCertificate(authority, adminKey, new Date())).der,
    caCertificate: authority.certificate.der,
    apiEndpoints: ["192.0.2.1:6443"],
    joinEndpoints: ["192.0.2.1:9444"],
    nodeName: "n1",
  };
}

/** The message with a result, as an honest node signs it for this exchange. */
export async function signedResult(
  result: InitResult,
  { keys, a1 }: Pick<HostileAuthority, "keys" | "a1">,
  request: Uint8Array,
): Promise<InitServerMessage> {
  const encoded = copyOf(InitResult.encode(result).finish());
  const signature = await sign(keys, "init-answer", await answerStatement(await initA2(a1, request), encoded));
  return { message: { $case: "result", result: { result: encoded, signature } } };
}

/** The settings of an operator that meets a hostile node. */
export interface Meeting extends Partial<InitOptions> {
  /** The operator's verifier. Default: one that believes a `ShownMachine`. */
  readonly verifier?: EvidenceVerifier;
}

/** Why an init ended: its error, or the reason for which it gave up on its node. */
export function reasonOf(thrown: unknown): BootstrapError {
  const error = asBootstrapError(thrown);
  return error.code === "timeout/init" ? asBootstrapError(error.cause) : error;
}

/**
 * Asserts that an operator without patience refuses a hostile node with this code, or gives up on it for this reason, and
 * signed only the hello.
 */
export async function refusedByOperator(
  operator: TestOperator,
  play: NodePlay | Script,
  code: string,
  meeting: Meeting = {},
): Promise<BootstrapError> {
  const script: Script = typeof play === "function"
    ? play
    : (session, hello, received) => playNode(session, hello, play, received);
  const node = await startHostileNode(script);
  const before = await operator.record();
  const signatures = operator.signatures;
  const found = operator.found(node.endpoint, { verifier: shownVerifier, patienceMs: 0, ...meeting });
  const error = await found.then(() => assert.fail("the operator was taken in"), reasonOf);
  await node[Symbol.asyncDispose]();
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], undefined, "the operator did not refuse");
  assert.equal(operator.signatures, signatures + 1, "more was signed than the hello");
  assert.deepEqual(node.received.filter((kind) => kind !== "challenge"), [], "more was sent than the challenge");
  assert.deepEqual(await operator.record(), before, "the record has changed");
  assert.deepEqual(operator.kept, []);
  return error;
}
