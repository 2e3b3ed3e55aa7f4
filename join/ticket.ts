/**
 * A ticket, and the node's checks of it before the lock.
 *
 * @module
 */
import { readPolicy } from "../attestation/policy/policy.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import { checkNodeCertificate } from "../certificate/chain.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import { endpointText, readEndpoint } from "../platform/endpoint.ts";
import type { Bytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Founding, JoinTicket } from "../proto/gen/bootstrapper.ts";
import type { ControlPlaneKit } from "../protocol/control_plane_kit.ts";
import { checkControlPlaneKit, wipeKit } from "../protocol/control_plane_kit.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { FoundedService } from "./proposal.ts";
import { openKit } from "../protocol/sealed_kit.ts";

/**
 * What a node needs in order to join. Only {@linkcode kit} is secret. It stays in memory, and is wiped once it is used
 * or dropped.
 */
export interface Ticket {
  /** 32 bytes. */
  readonly clusterId: Bytes;
  readonly ca: Certificate;
  /** The node's certificate, for its name and K_c alone. */
  readonly certificate: Certificate;
  /** The API servers, `host:port`; at least one. */
  readonly apiEndpoints: readonly [string, ...string[]];
  /** The join services, `host:port`. */
  readonly joinEndpoints: readonly string[];
  readonly settings: ClusterSettings;
  /** The cluster's settings as the operator gave them, YAML. */
  readonly clusterDocument: string;
  /** The foundings of the cluster by operators of this node. */
  readonly foundings: readonly Founding[];
  /** The cluster's keys; only in the ticket of a control plane. */
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
export interface TicketHolder {
  readonly name: string;
  readonly role: NodeSelf["role"];
  /** K_c and E_c. */
  readonly keys: NodeKeys;
}

const MAXIMUM_ENDPOINTS = 64;

/**
 * Checks a ticket. The CA must have signed its certificate for exactly the node's name and key, the certificate must be
 * valid now, and the rest of the ticket must be usable.
 *
 * @param message What the service sent.
 * @param service The service, from `checkProposal()`.
 * @param node The node that asked.
 * @param a2 A2 of the connection, to which sealed keys are bound.
 * @param now The current time.
 * @throws {BootstrapError} `refused/certificate-…` and its like, `refused/sealed-kit`, `malformed/ticket` with `field`.
 */
export async function checkTicket(
  message: JoinTicket,
  service: FoundedService,
  node: TicketHolder,
  a2: Uint8Array,
  now: Date,
): Promise<Ticket> {
  const { name, keys } = node;
  const certificate = await checkNodeCertificate(message.nodeCertificate, service.ca, name, keys.node.spki, now);
  const [first, ...others] = readEndpoints(message.apiEndpoints, "api_endpoints");
  if (first === undefined) throw malformed("api_endpoints", "names none");
  return {
    clusterId: service.clusterId,
    ca: service.ca,
    certificate,
    apiEndpoints: [first, ...others],
    joinEndpoints: readEndpoints(message.joinEndpoints, "join_endpoints"),
    settings: readField("cluster_document", () => readClusterSettings(message.clusterDocument)),
    clusterDocument: message.clusterDocument,
    foundings: service.foundings,
    ...await openSealedKit(message, service, node, a2, now),
  };
}

async function openSealedKit(
  { sealedKit }: JoinTicket,
  { ca }: FoundedService,
  { role, keys }: TicketHolder,
  a2: Uint8Array,
  now: Date,
): Promise<{ readonly kit?: ControlPlaneKit }> {
  if (role === "worker" && sealedKit === undefined) return {};
  if (role === "worker") throw malformed("sealed_kit", "is in the ticket of a worker");
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
