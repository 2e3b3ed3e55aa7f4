/**
 * The operator's side of an Init, one function per step.
 *
 * @module
 */
import { checkActivationAnswer } from "../protocol/activation.ts";
import type { Exchange } from "../channel/exchange.ts";
import { createChecks } from "../attestation/checks.ts";
import type {
  Evidence,
  EvidenceCheck,
  EvidenceClaims,
  EvidenceVerifier,
  Expectation,
} from "../attestation/evidence.ts";
import { createFounding } from "../protocol/founding.ts";
import { helloStatement, initA1, initA2 } from "../protocol/transcript.ts";
import { verifyEvidence } from "../attestation/verify_evidence.ts";
import { CLUSTER_ID_BYTES } from "../certificate/cluster_id.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { sign } from "../protocol/signature.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, randomBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { InitRequest } from "../proto/gen/bootstrapper.ts";
import type {
  Founding,
  InitClientMessage,
  InitProposal,
  InitServerMessage,
  ProgressEvent,
} from "../proto/gen/bootstrapper.ts";
import { checkInitResult } from "./result.ts";
import type { CheckedResult } from "./result.ts";
import { LONGEST_SILENCE_MS } from "../protocol/init_steps.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { isLabel } from "../platform/label.ts";
import { present } from "../platform/present.ts";

/** How long the operator waits for a silent node, in milliseconds. */
export interface InitClientDeadlines {
  /** From the hello to the proposal. A TPM behind an emulated machine takes seconds for each command. */
  readonly proposalMs: number;
  /** From the challenge to its answer. */
  readonly activationMs: number;
  /** Between two events of a step. */
  readonly progressMs: number;
}

/** The deadlines of an operator. */
export const INIT_CLIENT_DEADLINES: InitClientDeadlines = Object.freeze({
  proposalMs: 60_000,
  activationMs: 60_000,
  progressMs: LONGEST_SILENCE_MS,
});

/** The messages of an Init as the operator sees them. */
export type InitExchange = Exchange<InitServerMessage, InitClientMessage>;

/** A node whose evidence was verified completely, including the activation. */
export interface VerifiedNode {
  readonly claims: EvidenceClaims;
  /** The cluster ID that the node proposes, 32 bytes. */
  readonly clusterId: Bytes;
  /** A1 of this connection. */
  readonly a1: Bytes;
}

/**
 * Steps 1 to 3: says hello, and verifies the node completely. Only the hello has been signed then.
 *
 * @param expectationFor Gives what the node must show for the proposed cluster ID. Its other arguments are not verified.
 *   What it throws ends the exchange before anything but the hello is signed.
 * @param report Called with every check, as that of a verifier is.
 */
export async function verifyNode(
  exchange: InitExchange,
  operator: KeyPair,
  verifier: Pick<EvidenceVerifier, "verify">,
  expectationFor: (clusterId: Uint8Array, evidence: Evidence, says: NodeSays) => Promise<Expectation>,
  deadlines: InitClientDeadlines,
  report?: (check: EvidenceCheck) => void,
): Promise<VerifiedNode> {
  const clientNonce = randomBytes(NONCE_BYTES);
  const signature = await sign(operator, "hello", await helloStatement(exchange.binding, clientNonce));
  await exchange.send({ message: { $case: "hello", hello: { clientNonce, operatorKey: operator.spki, signature } } });

  const { serverNonce, clusterId, evidence, clusterName, nodeAddress, timeMs } = await exchange.receive(
    "proposal",
    deadlines.proposalMs,
  );
  requireLength(serverNonce, NONCE_BYTES, "server_nonce");
  requireLength(clusterId, CLUSTER_ID_BYTES, "cluster_id");
  if (evidence === undefined) throw new BootstrapError("refused/evidence", "The node sent no evidence");
  const says = readSays({ clusterName, nodeAddress, timeMs });
  const context = { binding: exchange.binding, clientNonce, serverNonce, operatorKey: operator.spki, clusterId };
  const a1 = await initA1(context);
  const { claims, challenge } = await verifyEvidence(
    verifier,
    evidence,
    a1,
    await expectationFor(clusterId, evidence, says),
    report,
  );
  if (challenge !== undefined) {
    const { credentialBlob, encryptedSecret } = challenge.message;
    await exchange.send({
      message: {
        $case: "challenge",
        challenge: { credentialBlob: copyOf(credentialBlob), encryptedSecret: copyOf(encryptedSecret) },
      },
    });
    const { hmac } = await exchange.receive("activation", deadlines.activationMs);
    const checks = createChecks(report);
    await checks.run("activation", "its answer", () => checkActivationAnswer(hmac, challenge.secret, a1));
    checks.end();
  }
  return { claims, clusterId: copyOf(clusterId), a1 };
}

/** What a node says of itself before it is verified. A node of an earlier version says nothing. */
export interface NodeSays {
  /** The cluster's name in its configuration, an RFC 1123 label. */
  readonly clusterName?: string;
  /** The IP address by which other nodes are to reach it. */
  readonly nodeAddress?: string;
  /** Its clock when it sent the proposal, milliseconds since 1970. */
  readonly timeMs?: bigint;
}

function readSays(
  { clusterName, nodeAddress, timeMs }: Pick<InitProposal, "clusterName" | "nodeAddress" | "timeMs">,
): NodeSays {
  if (clusterName !== undefined && !isLabel(clusterName)) {
    throw new BootstrapError("malformed/proposal", '"cluster_name" is no RFC 1123 label');
  }
  if (nodeAddress !== undefined && addressBytes(nodeAddress) === undefined) {
    throw new BootstrapError("malformed/proposal", '"node_address" is no IP address');
  }
  return {
    ...{ ...present("clusterName", clusterName), ...present("nodeAddress", nodeAddress) },
    ...present("timeMs", timeMs),
  };
}

/** What the operator sent in step 4. */
export interface SentInitRequest {
  readonly founding: Founding;
  /** A2 of the exchange, to which the node's answer is bound. */
  readonly a2: Bytes;
}

/** Step 4: signs the request and the founding, and sends both. `heard` is the number of the last event seen before. */
export async function requestInit(
  exchange: InitExchange,
  operator: KeyPair,
  { a1, clusterId }: VerifiedNode,
  request: InitRequest,
  heard: number,
): Promise<SentInitRequest> {
  const bytes = copyOf(InitRequest.encode(request).finish());
  const founding = await createFounding(operator, clusterId, request.clusterName);
  const a2 = await initA2(a1, bytes);
  const signature = await sign(operator, "request", a2);
  await exchange.send({ message: { $case: "request", request: { request: bytes, signature, founding, heard } } });
  return { founding, a2 };
}

/** What {@linkcode awaitResult} needs. */
export interface AwaitedResult {
  /** The cluster ID that the node proposed, 32 bytes. */
  readonly clusterId: Uint8Array;
  /** SPKI of the admin key of the request, DER. */
  readonly adminKey: Uint8Array;
  /** A2 of the exchange. */
  readonly a2: Uint8Array;
  /** Tells at what time certificates must be valid. */
  readonly clock: Pick<Clock, "now">;
  /** How long the node may be silent from now on, milliseconds; asked before each message. */
  silenceMs(): number;
  /** The number of the last event that was seen before. */
  readonly heard: number;
  /**
   * Whether the init continues an earlier one. The node may have forgotten some of the events after the last one seen.
   */
  readonly again: boolean;
  /** Called for each event, in the order of their numbers. */
  onProgress(event: ProgressEvent): void | Promise<void>;
}

/**
 * Step 5: follows the progress, and checks the result.
 *
 * @throws {BootstrapError} `protocol/progress`, `refused/…`, `malformed/init-result`, or the error with which the node
 *   failed.
 */
export async function awaitResult(exchange: InitExchange, awaited: AwaitedResult): Promise<CheckedResult> {
  const { clusterId, adminKey, a2, clock, again, onProgress } = awaited;
  for (let heard = awaited.heard, isFirst = true;; isFirst = false) {
    const { kind, payload } = await exchange.receiveAny(["progress", "result"], awaited.silenceMs());
    if (kind === "result") return await checkInitResult(payload, { clusterId, adminKey, a2, now: clock.now() });
    const follows = isFirst && again ? payload.number > heard : payload.number === heard + 1;
    if (!follows) {
      throw new BootstrapError("protocol/progress", `Expected event ${heard + 1} of the init, not ${payload.number}`);
    }
    heard = payload.number;
    await onProgress(payload);
  }
}

/** Sends the last message of an Init: the operator has everything, and has it on disk. */
export function acknowledge(exchange: InitExchange): Promise<void> {
  return exchange.send({ message: { $case: "acknowledgement", acknowledgement: {} } });
}

function requireLength(bytes: Uint8Array, length: number, field: string): void {
  if (bytes.length === length) return;
  throw new BootstrapError("malformed/proposal", `"${field}" must be ${length} bytes, not ${bytes.length}`);
}
