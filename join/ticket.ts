/**
 * A ticket, and the node's checks of it before the lock.
 *
 * @module
 */
import { readPolicy } from "../attestation/policy/policy.ts";
import { addressesOf } from "../kubernetes/documents.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import { checkNodeCertificate, checkServingCertificate } from "../certificate/chain.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import { endpointText, readEndpoint } from "../platform/endpoint.ts";
import type { Bytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { JoinTicket } from "../proto/gen/bootstrapper.ts";
import type { Founding, SignedJoinTicket } from "../proto/gen/bootstrapper.ts";
import type { ControlPlaneKit } from "../protocol/control_plane_kit.ts";
import { checkControlPlaneKit, wipeKit } from "../protocol/control_plane_kit.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { FoundedService } from "./proposal.ts";
import { openKit } from "../protocol/sealed_kit.ts";
import type { JoinPurpose } from "../protocol/join_request.ts";
import { checkLength } from "../protocol/lengths.ts";
import { SIGNATURE_BYTES, verify } from "../protocol/signature.ts";
import { answerStatement } from "../protocol/transcript.ts";

/**
 * What a node needs in order to join. Only {@linkcode kit} is secret. It stays in memory, and is wiped once it is used
 * or dropped.
 */
export interface Ticket {
  /** 32 bytes. */
  readonly clusterId: Bytes;
  readonly ca: Certificate;
  /** With which the kubelet calls the API server: for the node's name, its admission, and K_c alone. */
  readonly clientCertificate: Certificate;
  /** With which the kubelet serves: for the node's name and addresses, and K_s alone. */
  readonly servingCertificate: Certificate;
  /** The API servers, `host:port`; at least one. */
  readonly apiEndpoints: readonly [string, ...string[]];
  /** The join services, `host:port`. */
  readonly joinEndpoints: readonly string[];
  readonly settings: ClusterSettings;
  /** The cluster's settings as the operator gave them, YAML. */
  readonly clusterDocument: string;
  /** The foundings of the cluster by operators of this node. */
  readonly foundings: readonly Founding[];
  /** The founding by the token of this node's trust part, if the cluster showed one. */
  readonly tokenFounding?: Uint8Array;
  /** The cluster's keys; only in the ticket of a control plane that joins. */
  readonly kit?: ControlPlaneKit;
  /** A control plane's turn, which the service keeps for it. */
  readonly turn?: TicketTurn;
}

/**
 * A turn that a service keeps for a node. If it is disposed without an outcome, the service keeps it and the node asks
 * again.
 */
export interface TicketTurn extends Disposable {
  /** Tells the service whether the node is locked for its cluster or no longer needs its turn. Never throws. */
  settle(locked: boolean): Promise<void>;
}

/** A control plane's ticket. */
export type ControlPlaneTicket = Ticket & { readonly kit: ControlPlaneKit };

/** The node that a ticket must be for. */
export interface TicketHolder extends NodeSelf {
  readonly purpose: JoinPurpose;
  /** K_c, K_s and E_c. */
  readonly keys: NodeKeys;
}

const MAXIMUM_ENDPOINTS = 64;

/**
 * Checks a ticket. The service that the node spoke with must have signed it for this exchange, before anything else of
 * it counts. The CA must have signed its certificates for exactly the node's name, addresses and keys, they must be
 * valid now, and the rest of the ticket must be usable.
 *
 * @param message What the service sent.
 * @param service The service, from `checkProposal()`.
 * @param node The node that asked.
 * @param a2 A2 of the connection, to which the ticket and sealed keys are bound.
 * @param now The current time.
 * @throws {BootstrapError} `refused/signature`, `refused/certificate-…` and its like, `refused/sealed-kit`,
 *   `malformed/ticket` with `field`, `malformed/join-message`.
 */
export async function checkTicket(
  message: SignedJoinTicket,
  service: FoundedService,
  node: TicketHolder,
  a2: Uint8Array,
  now: Date,
): Promise<Ticket> {
  const signature = checkLength(message.signature, SIGNATURE_BYTES, "signature");
  await verify(service.serviceKey, "ticket", await answerStatement(a2, message.ticket), signature);
  const ticket = decodeTicket(message.ticket);
  const expected = {
    nodeName: node.name,
    clientKey: node.keys.node.spki,
    servingKey: node.keys.serving.spki,
    addresses: addressesOf(node),
    now,
  };
  const clientCertificate = await checkNodeCertificate(ticket.clientCertificate, service.ca, expected);
  const servingCertificate = await checkServingCertificate(ticket.servingCertificate, service.ca, expected);
  const endMs = Math.min(clientCertificate.notAfter.getTime(), servingCertificate.notAfter.getTime());
  if (ticket.notAfterMs !== BigInt(endMs)) throw malformed("not_after_ms", "is not the end of its certificates");
  const [first, ...others] = readEndpoints(ticket.apiEndpoints, "api_endpoints");
  if (first === undefined) throw malformed("api_endpoints", "names none");
  return {
    clusterId: service.clusterId,
    ca: service.ca,
    clientCertificate,
    servingCertificate,
    apiEndpoints: [first, ...others],
    joinEndpoints: readEndpoints(ticket.joinEndpoints, "join_endpoints"),
    settings: readField("cluster_document", () => readClusterSettings(ticket.clusterDocument)),
    clusterDocument: ticket.clusterDocument,
    foundings: service.foundings,
    ...present("tokenFounding", service.tokenFounding),
    ...await openSealedKit(ticket, service, node, a2, now),
  };
}

function decodeTicket(bytes: Uint8Array): JoinTicket {
  try {
    return JoinTicket.decode(bytes);
  } catch (cause) {
    throw malformed("ticket", "is not a protobuf message", cause);
  }
}

async function openSealedKit(
  { sealedKit }: JoinTicket,
  { ca }: FoundedService,
  { purpose, role, keys }: TicketHolder,
  a2: Uint8Array,
  now: Date,
): Promise<{ readonly kit?: ControlPlaneKit }> {
  const isWanted = purpose === "join" && role === "control-plane";
  if (!isWanted && sealedKit === undefined) return {};
  if (!isWanted) throw malformed("sealed_kit", "is not for a worker, nor for a renewal");
  if (sealedKit === undefined) throw malformed("sealed_kit", "is missing in the ticket of a control plane");
  const kit = await openKit(keys.sealing, a2, sealedKit);
  try {
    await checkControlPlaneKit(kit, ca, now, readPolicy);
    return { kit };
  } catch (error) {
    wipeKit(kit);
    throw error;
  }
}

function readEndpoints(texts: readonly string[], field: string): string[] {
  if (texts.length > MAXIMUM_ENDPOINTS) throw malformed(field, `names more than ${MAXIMUM_ENDPOINTS}`);
  return texts.map((text) => readField(field, () => endpointText(readEndpoint(text, field))));
}

function readField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw malformed(field, asBootstrapError(cause).message, cause);
  }
}

function malformed(field: string, problem: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/ticket", `Cannot use the ticket: "${field}": ${problem}`, {
    cause,
    details: { field },
  });
}
