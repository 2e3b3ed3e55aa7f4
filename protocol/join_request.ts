/**
 * What a node asks for: the request inside its signed message.
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

/** A request whose form is right. */
export interface NodeRequest {
  /** An RFC 1123 label. */
  readonly nodeName: string;
  /** What the node wants to be; what it may be is the policy's. */
  readonly role: NodeRole;
  /** PKCS#10, DER; not looked at yet. */
  readonly csr: Bytes;
  /** The node's clock, milliseconds since 1970. */
  readonly timeMs: bigint;
  /** IP addresses, as the node says them; they prove nothing. */
  readonly addresses: readonly string[];
  /** As `v1.36.3`. */
  readonly kubeletVersion: string;
}

/** 8 KiB; a usual request has about 400 bytes. */
export const MAXIMUM_REQUEST_BYTES = 1 << 13;

const MAXIMUM_ADDRESSES = 16;
const KUBELET_VERSION = /^v1\.\d{1,3}\.\d{1,3}(?:[-+][0-9A-Za-z.+-]{1,64})?$/;

/** The bytes of a request, which are hashed and signed. */
export function encodeRequest(request: NodeRequest): Bytes {
  return copyOf(JoinRequest.encode({ ...request, addresses: [...request.addresses] }).finish());
}

/**
 * Reads a request. Only the one encoding that {@linkcode encodeRequest} makes is read.
 *
 * @param bytes The bytes as they were signed, at most {@linkcode MAXIMUM_REQUEST_BYTES}.
 * @throws {BootstrapError} `malformed/join-request` with `field`.
 */
export function readRequest(bytes: Uint8Array): NodeRequest {
  if (bytes.length > MAXIMUM_REQUEST_BYTES) throw malformed("request", `is larger than ${MAXIMUM_REQUEST_BYTES} bytes`);
  const message = decode(bytes);
  const role = NODE_ROLES.find((name) => name === message.role);
  if (!isLabel(message.nodeName)) throw malformed("node_name", "is no RFC 1123 label");
  if (role === undefined) throw malformed("role", `is none of ${NODE_ROLES.join(", ")}`);
  if (message.csr.length > MAXIMUM_CSR_BYTES) throw malformed("csr", `is larger than ${MAXIMUM_CSR_BYTES} bytes`);
  if (message.addresses.length > MAXIMUM_ADDRESSES) throw malformed("addresses", `are more than ${MAXIMUM_ADDRESSES}`);
  if (!message.addresses.every((address) => isIP(address) !== 0 && !address.includes("%"))) {
    throw malformed("addresses", "are not all IP addresses");
  }
  if (!KUBELET_VERSION.test(message.kubeletVersion)) {
    throw malformed("kubelet_version", 'is no version of the form "v1.36.3"');
  }
  return { ...message, role, csr: copyOf(message.csr) };
}

function decode(bytes: Uint8Array): JoinRequest {
  let message: JoinRequest;
  try {
    message = JoinRequest.decode(bytes);
  } catch (cause) {
    throw malformed("request", "is no protobuf message", cause);
  }
  if (!equalBytes(JoinRequest.encode(message).finish(), bytes)) {
    throw malformed("request", "is not in the only form that is read");
  }
  return message;
}

function malformed(field: string, problem: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/join-request", `Cannot read the join request as "${field}" ${problem}`, {
    cause,
    details: { field },
  });
}
