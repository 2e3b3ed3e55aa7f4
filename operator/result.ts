/**
 * The result of an init, and the operator's checks of it.
 *
 * @module
 */
import { checkAdminCertificate, checkCaCertificate } from "../certificate/chain.ts";
import type { Certificate } from "../certificate/x509.ts";
import { isNodeName } from "../platform/label.ts";
import { endpointText, readEndpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { verify } from "../protocol/signature.ts";
import { answerStatement } from "../protocol/transcript.ts";
import { InitResult } from "../proto/gen/bootstrapper.ts";
import type { SignedInitResult } from "../proto/gen/bootstrapper.ts";

/** The checked result of an init. */
export interface CheckedResult {
  /** The admin certificate for exactly the key of the request. */
  readonly adminCertificate: Certificate;
  /** The CA that hashes to the cluster ID. */
  readonly caCertificate: Certificate;
  /** `host:port` of the API server, at least one, as the node says. */
  readonly apiEndpoints: readonly [string, ...string[]];
  /** `host:port` of the join services, as the node says. */
  readonly joinEndpoints: readonly string[];
  /** The Node's name, as the node says. */
  readonly nodeName: string;
}

/** What a result must match. */
export interface ResultExpectation {
  /** The cluster ID that the node proposed, 32 bytes. */
  readonly clusterId: Uint8Array;
  /** SPKI of the admin key of the request, DER. */
  readonly adminKey: Uint8Array;
  /** A2 of the exchange, to which the CA's signature binds the result. */
  readonly a2: Uint8Array;
  /** The current time. */
  readonly now: Date;
}

const MAXIMUM_ENDPOINTS = 64;

/**
 * Checks a result: the CA is the founded one, it signed this result in this exchange, it certifies exactly the admin
 * key, and the rest is usable.
 *
 * @throws {BootstrapError} `refused/ca-…`, `refused/signature`, `refused/certificate-…` and their like,
 *   `malformed/init-result` with `field`.
 */
export async function checkInitResult(
  { result, signature }: SignedInitResult,
  expected: ResultExpectation,
): Promise<CheckedResult> {
  const { clusterId, adminKey, a2, now } = expected;
  const message = decode(result);
  const caCertificate = await checkCaCertificate(message.caCertificate, clusterId);
  await verify(caCertificate.spki, "init-answer", await answerStatement(a2, result), signature);
  const adminCertificate = await checkAdminCertificate(message.adminCertificate, caCertificate, adminKey, now);
  const [first, ...others] = readEndpoints(message.apiEndpoints, "api_endpoints");
  if (first === undefined) throw malformed("api_endpoints", "names none");
  if (!isNodeName(message.nodeName)) throw malformed("node_name", "is no RFC 1123 subdomain of at most 63 characters");
  return {
    adminCertificate,
    caCertificate,
    apiEndpoints: [first, ...others],
    joinEndpoints: readEndpoints(message.joinEndpoints, "join_endpoints"),
    nodeName: message.nodeName,
  };
}

function decode(bytes: Uint8Array): InitResult {
  try {
    return InitResult.decode(bytes);
  } catch (cause) {
    throw malformed("result", "is not a protobuf message", cause);
  }
}

function readEndpoints(texts: readonly string[], field: string): string[] {
  if (texts.length > MAXIMUM_ENDPOINTS) throw malformed(field, `names more than ${MAXIMUM_ENDPOINTS}`);
  return texts.map((text) => {
    try {
      return endpointText(readEndpoint(text, field));
    } catch (cause) {
      throw malformed(field, asBootstrapError(cause).message, cause);
    }
  });
}

function malformed(field: string, problem: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/init-result", `Cannot use the result: "${field}": ${problem}`, {
    cause,
    details: { field },
  });
}
