/**
 * The node's side of an Init, one function per step.
 *
 * @module
 */
import { activationAnswer } from "../protocol/activation.ts";
import type { Session } from "../channel/server.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { checkFounding } from "../protocol/founding.ts";
import { helloStatement, initA1, initA2 } from "../protocol/transcript.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { verify } from "../protocol/signature.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { checkClockSkew } from "../platform/clock_skew.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { InitClientMessage, InitServerMessage } from "../proto/gen/bootstrapper.ts";
import { readInitRequest, sameOperation } from "../protocol/init_request.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import type { Hellos } from "./hellos.ts";
import type { StagedInit } from "./staged_init.ts";

/** How long the node waits for a silent operator, in milliseconds. */
export interface InitServerDeadlines {
  /** Until the hello arrives. */
  readonly helloMs: number;
  /** From each message of the node to the operator's answer. A machine verifies and records; no person is involved. */
  readonly answerMs: number;
}

/** The deadlines of a running InitServer. */
export const INIT_SERVER_DEADLINES: InitServerDeadlines = Object.freeze({ helloMs: 10_000, answerMs: 60_000 });

/** One Init exchange, from the node's side. */
export type InitSession = Session<InitClientMessage, InitServerMessage>;

/** A hello by one of the node's operators. */
export interface VerifiedHello {
  /** SPKI of the operator's key. */
  readonly operatorKey: Bytes;
  /** N_c. */
  readonly clientNonce: Bytes;
}

/** What step 1 needs. */
export interface HelloDependencies extends Pick<ExchangeDependencies, "trust" | "deadlines"> {
  /** The hellos that were accepted before. */
  readonly hellos: Hellos;
}

/** Step 1. Accepts only the node's operators. Any other caller learns nothing. */
export async function receiveHello(
  { exchange, trustPeer }: InitSession,
  { trust, hellos, deadlines = INIT_SERVER_DEADLINES }: HelloDependencies,
): Promise<VerifiedHello> {
  const { operatorKey, clientNonce, signature } = await exchange.receive("hello", deadlines.helloMs);
  const stranger = new BootstrapError("unauthorized/operator", "The caller is not an operator of this node");
  if (clientNonce.length !== NONCE_BYTES) throw stranger;
  if (!trust.operatorKeys.some((key) => equalBytes(key, operatorKey))) throw stranger;
  try {
    await verify(operatorKey, "hello", await helloStatement(exchange.binding, clientNonce), signature);
  } catch (cause) {
    throw new BootstrapError("unauthorized/operator", stranger.message, { cause });
  }
  if (!await hellos.accept(operatorKey, clientNonce)) throw stranger;
  trustPeer();
  return { operatorKey: copyOf(operatorKey), clientNonce: copyOf(clientNonce) };
}

/**
 * The cluster that the node proposes: a new one with a fresh CA or, after the lock, the one that the node is locked to.
 */
export interface ProposedCluster {
  readonly ca: CertificateAuthority<KeyPair>;
  /** After the lock: what was authorised. Only the same operation by the same operator is accepted. */
  readonly recorded?: StagedInit;
  /** After the lock: the current step, for an operator who asks for another operation. */
  readonly goesOn?: Readonly<Record<string, string>>;
}

/** An init that an operator authorised. */
export interface AuthorisedInit {
  /** The request, the founding, and their CA. */
  readonly staged: StagedInit;
  /** The number of the operation's last event that the operator has seen. */
  readonly heard: number;
  /** A2 of the exchange, to which the answer is bound. */
  readonly a2: Bytes;
}

/** What the exchange needs. */
export interface ExchangeDependencies {
  readonly issuer: EvidenceIssuer;
  /** The trust part of the node's configuration. */
  readonly trust: TrustPart;
  /** The address by which other nodes are to reach this one. Default: the operator is not told. */
  readonly nodeAddress?: string;
  /** Checks the time in the request. */
  readonly clock: Pick<Clock, "now">;
  /** Default: {@linkcode INIT_SERVER_DEADLINES}. */
  readonly deadlines?: InitServerDeadlines;
}

/**
 * Steps 2 to 4: proposes the cluster ID with evidence, answers the activation, and takes the operator's request.
 *
 * @returns What the operator authorised.
 */
export async function proposeAndAuthorise(
  { exchange }: InitSession,
  hello: VerifiedHello,
  cluster: ProposedCluster,
  { issuer, trust, nodeAddress, clock, deadlines = INIT_SERVER_DEADLINES }: ExchangeDependencies,
): Promise<AuthorisedInit> {
  const { operatorKey, clientNonce } = hello;
  const clusterId = await clusterIdOf(cluster.ca.certificate);
  const serverNonce = randomBytes(NONCE_BYTES);
  const a1 = await initA1({ binding: exchange.binding, clientNonce, serverNonce, operatorKey, clusterId });
  const evidence = await issuer.issue(a1);
  // After the evidence, which may take seconds.
  const timeMs = BigInt(clock.now().getTime());
  const proposal = { serverNonce, clusterId, evidence, clusterName: trust.clusterName, nodeAddress, timeMs };
  await exchange.send({ message: { $case: "proposal", proposal } });

  if (issuer.isChallenged) {
    const challenge = await exchange.receive("challenge", deadlines.answerMs);
    const hmac = await activationAnswer(await issuer.activate(challenge), a1);
    await exchange.send({ message: { $case: "activation", activation: { hmac } } });
  }

  const signed = await exchange.receive("request", deadlines.answerMs);
  const { founding } = signed;
  if (founding === undefined) throw new BootstrapError("malformed/init-request", 'The message lacks "founding"');
  const a2 = await initA2(a1, signed.request);
  await verify(operatorKey, "request", a2, signed.signature);
  if (!equalBytes(founding.operatorKey, operatorKey)) {
    throw new BootstrapError("refused/founding-operator", "The founding is signed by another key than the hello");
  }
  await checkFounding(founding, trust, clusterId);
  const request = readInitRequest(signed.request);
  if (request.clusterName !== trust.clusterName) {
    const details = { check: "cluster-name", expected: trust.clusterName, seen: request.clusterName };
    throw new BootstrapError("refused/cluster-name", "The request is for a cluster of another name", { details });
  }
  checkClockSkew(request.timeMs, clock.now());
  if (cluster.recorded !== undefined && !sameOperation(cluster.recorded.request, request)) {
    const { goesOn = {} } = cluster;
    const step = goesOn["step"] === undefined ? "" : `, which is at the step ${goesOn["step"]}`;
    throw new BootstrapError("precondition/other-operation", `This node has another operation${step}`, {
      next: "Run the first init again with its records and its settings, or use a fresh machine",
      details: goesOn,
    });
  }
  const staged = cluster.recorded ?? { ca: cluster.ca, requestBytes: copyOf(signed.request), request, founding };
  return { staged, heard: cluster.recorded === undefined ? 0 : signed.heard, a2 };
}
