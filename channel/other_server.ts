/**
 * Names what answers where this program's own server was expected.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import { status } from "@grpc/grpc-js";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import { PeerError } from "../protocol/refusal.ts";

/** The server that was expected. */
export interface ExpectedServer {
  /** For people: "the join service". */
  readonly name: string;
  /** The port on which it usually listens. */
  readonly usualPort: number;
  /** What it means if another of this program's services answers on that port, as a sentence without a full stop. */
  readonly ifOther?: string;
}

/** The subject of the certificates of this program's servers; see `createThrowAwayCertificate()`. */
const OWN_NAME = "bootstrapper";
/** The common name of the API server's certificate, and of the CA of etcd's (kubeadm, `phases/certs/certlist.go`). */
const API_SERVER_NAME = "kube-apiserver";
const ETCD_CA_NAME = "etcd-ca";
const NODE_PREFIX = "system:node:";
const LONGEST_NAME = 60;

/**
 * Names the server at the other end by its certificate, which proves nothing. `undefined` for one of this program's own,
 * and for a certificate that is not understood.
 */
export function otherServer(socket: Pick<TLSSocket, "getPeerCertificate">): string | undefined {
  const { subject, issuer } = socket.getPeerCertificate();
  const name = textOf(subject?.CN);
  if (name === OWN_NAME) return undefined;
  if (name === API_SERVER_NAME) return "a Kubernetes API server answers here";
  if (textOf(issuer?.CN) === ETCD_CA_NAME) return "etcd answers here";
  if (name.startsWith(NODE_PREFIX)) return "a kubelet answers here";
  return name === "" ? undefined : `another server answers here, whose certificate is for ${name}`;
}

/** The first value of a name's attribute, without what could mislead a reader. */
function textOf(value: unknown): string {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" ? first.slice(0, LONGEST_NAME).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ") : "";
}

/** What is known of the other end of a connection. */
export interface WhatAnswers {
  /** `host:port`. */
  readonly endpoint: string;
  readonly expected: ExpectedServer | undefined;
  /** From {@linkcode otherServer}. */
  readonly other: string | undefined;
}

/** Errors that say all that there is to say, whatever answers. */
const CLEAR: readonly AnyErrorCode[] = [
  "aborted/call",
  "aborted/dial",
  "timeout/connect",
  "protocol/other-server",
  "protocol/other-service",
];

/**
 * Explains the failure of an exchange by what answers there. A refusal by the expected server stays as it is.
 *
 * @param code gRPC's status code, if there is one.
 */
export function explained(
  error: BootstrapError,
  { endpoint, expected, other }: WhatAnswers,
  code?: number,
): BootstrapError {
  if (error instanceof PeerError || CLEAR.includes(error.code)) return error;
  const name = expected?.name ?? "the expected server";
  const port = expected === undefined ? "" : `: ${name}'s port is ${expected.usualPort}`;
  const options = { cause: error, next: `Check the address and the port${port}`, details: { endpoint } };
  if (other !== undefined) {
    return new BootstrapError("protocol/other-server", `Not ${name} at ${endpoint}: ${other}`, options);
  }
  if (code !== status.UNIMPLEMENTED) return error;
  const message = `Not ${name} at ${endpoint}: another service of bootstrapper answers here`;
  const next = expected?.ifOther === undefined ? options.next : `${expected.ifOther}. Otherwise: ${options.next}`;
  return new BootstrapError("protocol/other-service", message, { ...options, next });
}
