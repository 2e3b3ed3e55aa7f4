/**
 * A node's join request, as contained in its signed message.
 *
 * @module
 */
import type { NodeRole } from "../kubernetes/node_role.ts";
import { NODE_ROLES } from "../kubernetes/node_role.ts";
import { isIP } from "node:net";
import { MAXIMUM_CSR_BYTES } from "../certificate/csr.ts";
import { isLabel } from "../platform/label.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { JoinRequest } from "../proto/gen/bootstrapper.ts";

/** A well-formed request. */
export interface NodeRequest {
  /** An RFC 1123 label. */
  readonly nodeName: string;
  /** The requested role. The policy decides whether the node may have it. */
  readonly role: NodeRole;
  /** PKCS#10, DER; not parsed yet. */
  readonly csr: Bytes;
  /** The node's clock, milliseconds since 1970. */
  readonly timeMs: bigint;
  /** IP addresses as claimed by the node. They prove nothing. */
  readonly addresses: readonly string[];
  /** For example `v1.36.3`. */
  readonly kubeletVersion: string;
}

/** 8 KiB. A usual request has about 400 bytes. */
export const MAXIMUM_REQUEST_BYTES = 1 << 13;

const MAXIMUM_ADDRESSES = 16;
const KUBELET_VERSION = /^v1\.\d{1,3}\.\d{1,3}(?:[-+][0-9A-Za-z.+-]{1,64})?$/;

/** Encodes a request. These bytes are hashed and signed. */
export function encodeRequest(request: NodeRequest): Bytes {
  return copyOf(JoinRequest.encode({ ...request, addresses: [...request.addresses] }).finish());
}

/**
 * Reads a request. It accepts only the encoding that {@linkcode encodeRequest} makes.
 *
 * @param bytes The signed bytes, at most {@linkcode MAXIMUM_REQUEST_BYTES}.
 * @throws {BootstrapError} `malformed/join-request` with `field`.
 */
export function readRequest(bytes: Uint8Array): NodeRequest {
  if (bytes.length > MAXIMUM_REQUEST_BYTES) throw malformed("request", `is larger than ${MAXIMUM_REQUEST_BYTES} bytes`);
  const message = decode(bytes);
  const role = NODE_ROLES.find((name) => name === message.role);
  if (!isLabel(message.nodeName)) throw malformed("node_name", "is not an RFC 1123 label");
  if (role === undefined) throw malformed("role", `is not one of ${NODE_ROLES.join(", ")}`);
  if (message.csr.length > MAXIMUM_CSR_BYTES) throw malformed("csr", `is larger than ${MAXIMUM_CSR_BYTES} bytes`);
  if (message.addresses.length > MAXIMUM_ADDRESSES) throw malformed("addresses", `are more than ${MAXIMUM_ADDRESSES}`);
  if (!message.addresses.every((address) => isIP(address) !== 0 && !address.includes("%"))) {
    throw malformed("addresses", "are not all IP addresses");
  }
  if (!KUBELET_VERSION.test(message.kubeletVersion)) {
    throw malformed("kubelet_version", 'is not a version of the form "v1.36.3"');
  }
  return { ...message, role, csr: copyOf(message.csr) };
}

function decode(bytes: Uint8Array): JoinRequest {
  let message: JoinRequest;
  try {
    message = JoinRequest.decode(bytes);
  } catch (cause) {
    throw malformed("request", "is not a protobuf message", cause);
  }
  if (!equalBytes(JoinRequest.encode(message).finish(), bytes)) {
    throw malformed("request", "is not in its only accepted encoding");
  }
  return message;
}

function malformed(field: string, problem: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/join-request", `Cannot read the join request as "${field}" ${problem}`, {
    cause,
    details: { field },
  });
}
