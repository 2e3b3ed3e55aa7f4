/**
 * A node's join request, as contained in its signed message.
 *
 * @module
 */
import type { NodeRole } from "../kubernetes/node_role.ts";
import { NODE_ROLES } from "../kubernetes/node_role.ts";
import { MAXIMUM_CSR_BYTES } from "../certificate/csr.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { isNodeName } from "../platform/label.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { JoinRequest } from "../proto/gen/bootstrapper.ts";

/** Why a node asks: to become a member, or for new certificates of a member. */
export const JOIN_PURPOSES = ["join", "renew"] as const;

/** One of {@linkcode JOIN_PURPOSES}. */
export type JoinPurpose = typeof JOIN_PURPOSES[number];

/** A well-formed request. */
export interface NodeRequest {
  readonly purpose: JoinPurpose;
  /** An RFC 1123 subdomain of at most 63 characters. */
  readonly nodeName: string;
  /** The requested role. The policy decides whether the node may have it. */
  readonly role: NodeRole;
  /** PKCS#10, DER; not parsed yet. For K_c, whose certificate the kubelet calls the API server with. */
  readonly clientCsr: Bytes;
  /** PKCS#10, DER; not parsed yet. For K_s, whose certificate the kubelet serves with. */
  readonly servingCsr: Bytes;
  /** The identity key's SPKI, DER; empty where the kind of evidence knows the machine by something else. */
  readonly identityKey: Bytes;
  /** The node's clock, milliseconds since 1970. */
  readonly timeMs: bigint;
  /** IP addresses as claimed by the node. They prove nothing. */
  readonly addresses: readonly string[];
  /** For example `v1.36.3`. */
  readonly kubeletVersion: string;
}

/** 12 KiB. A usual request has about 800 bytes. */
export const MAXIMUM_REQUEST_BYTES = 12 << 10;

/** The length of an identity key's SPKI in bytes: P-256 (RFC 5480, 2). */
export const IDENTITY_KEY_BYTES = 91;

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
  const purpose = JOIN_PURPOSES.find((name) => name === message.purpose);
  const role = NODE_ROLES.find((name) => name === message.role);
  if (purpose === undefined) throw malformed("purpose", `is not one of ${JOIN_PURPOSES.join(", ")}`);
  if (!isNodeName(message.nodeName)) {
    throw malformed("node_name", "is not an RFC 1123 subdomain of at most 63 characters");
  }
  if (role === undefined) throw malformed("role", `is not one of ${NODE_ROLES.join(", ")}`);
  for (const [field, csr] of [["client_csr", message.clientCsr], ["serving_csr", message.servingCsr]] as const) {
    if (csr.length > MAXIMUM_CSR_BYTES) throw malformed(field, `is larger than ${MAXIMUM_CSR_BYTES} bytes`);
  }
  if (message.identityKey.length !== 0 && message.identityKey.length !== IDENTITY_KEY_BYTES) {
    throw malformed("identity_key", "is not the SPKI of a P-256 key");
  }
  if (message.addresses.length > MAXIMUM_ADDRESSES) throw malformed("addresses", `are more than ${MAXIMUM_ADDRESSES}`);
  if (!message.addresses.every((address) => addressBytes(address) !== undefined)) {
    throw malformed("addresses", "are not all IP addresses");
  }
  if (!KUBELET_VERSION.test(message.kubeletVersion)) {
    throw malformed("kubelet_version", 'is not a version of the form "v1.36.3"');
  }
  const { clientCsr, servingCsr, identityKey } = message;
  return {
    ...message,
    purpose,
    role,
    clientCsr: copyOf(clientCsr),
    servingCsr: copyOf(servingCsr),
    identityKey: copyOf(identityKey),
  };
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
