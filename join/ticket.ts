/**
 * A ticket as the node checks it, before the lock.
 *
 * @module
 */
import { checkNodeCertificate } from "../certificate/chain.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import { endpointText, readEndpoint } from "../node/endpoint.ts";
import type { Bytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { JoinTicket } from "../proto/gen/bootstrapper.ts";
import type { FoundedService } from "./proposal.ts";

/** What a node needs in order to join; nothing of it is secret. */
export interface Ticket {
  /** The cluster, 32 bytes. */
  readonly clusterId: Bytes;
  /** The cluster's CA. */
  readonly ca: Certificate;
  /** The node's certificate, for its name and K_c alone. */
  readonly certificate: Certificate;
  /** Where the API server is, `host:port`, at least one. */
  readonly apiEndpoints: readonly [string, ...string[]];
  /** Where join services are, `host:port`. */
  readonly joinEndpoints: readonly string[];
  /** The cluster's settings. */
  readonly settings: ClusterSettings;
}

const MAXIMUM_ENDPOINTS = 64;

/**
 * Checks a ticket: its certificate is signed by the CA for exactly the node's name and key and is valid now, and the rest of
 * it can be used.
 *
 * @param message What the service sent.
 * @param service The service, from `checkProposal()`.
 * @param node The node's name and SPKI_c.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/certificate-…` and its like, `malformed/ticket` with `field`.
 */
export async function checkTicket(
  message: JoinTicket,
  service: FoundedService,
  node: { readonly name: string; readonly spki: Uint8Array },
  now: Date,
): Promise<Ticket> {
  const certificate = await checkNodeCertificate(message.nodeCertificate, service.ca, node.name, node.spki, now);
  const [first, ...others] = readEndpoints(message.apiEndpoints, "api_endpoints");
  if (first === undefined) throw malformed("api_endpoints", "names none");
  return {
    clusterId: service.clusterId,
    ca: service.ca,
    certificate,
    apiEndpoints: [first, ...others],
    joinEndpoints: readEndpoints(message.joinEndpoints, "join_endpoints"),
    settings: readField("cluster_document", () => readClusterSettings(message.clusterDocument)),
  };
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
