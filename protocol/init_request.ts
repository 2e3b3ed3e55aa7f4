/**
 * The operator's request, as signed.
 *
 * @module
 */
import { readPublicKey } from "../certificate/public_key.ts";
import { equalBytes } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { InitRequest } from "../proto/gen/bootstrapper.ts";

/** The length of an operation ID, bytes. */
export const OPERATION_ID_LENGTH = 16;
/** The longest YAML document of a request, characters. */
const MAXIMUM_DOCUMENT_LENGTH = 64 * 1024;

/**
 * Reads a request.
 *
 * @param bytes An encoded `InitRequest`.
 * @throws {BootstrapError} `malformed/init-request`, with the field.
 */
export function readInitRequest(bytes: Uint8Array): InitRequest {
  let request: InitRequest;
  try {
    request = InitRequest.decode(bytes);
  } catch (cause) {
    throw malformed("request", "is not an InitRequest", cause);
  }
  if (request.operationId.length !== OPERATION_ID_LENGTH) {
    throw malformed("operation_id", `must be ${OPERATION_ID_LENGTH} bytes, not ${request.operationId.length}`);
  }
  if (request.clusterName === "") throw malformed("cluster_name", "is missing");
  try {
    readPublicKey(request.adminKey, "admin_key");
  } catch (cause) {
    throw malformed("admin_key", asBootstrapError(cause).message, cause);
  }
  for (const [field, text] of [["cluster", request.clusterDocument], ["policy", request.policyDocument]] as const) {
    if (text === "") throw malformed(`${field}_document`, "is missing");
    if (text.length > MAXIMUM_DOCUMENT_LENGTH) {
      throw malformed(`${field}_document`, `is longer than ${MAXIMUM_DOCUMENT_LENGTH} characters`);
    }
  }
  return request;
}

/** Reports whether two requests are equal except for their time. */
export function sameOperation(a: InitRequest, b: InitRequest): boolean {
  const timeless = (request: InitRequest) => InitRequest.encode({ ...request, timeMs: 0n }).finish();
  return equalBytes(timeless(a), timeless(b));
}

function malformed(field: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/init-request", `Cannot use the request: "${field}" ${reason}`, {
    cause,
    details: { field },
  });
}
