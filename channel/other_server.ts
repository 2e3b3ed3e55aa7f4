/**
 * Names what answers where this program's own server was expected.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import { BootstrapError } from "../platform/errors.ts";
import { PeerError } from "../protocol/refusal.ts";

/** The server that was expected. */
export interface ExpectedServer {
  /** For people: "the join service". */
  readonly name: string;
  /** The port on which it usually listens. */
  readonly usualPort: number;
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

/** Explains the failure of an exchange by what answers there. A refusal by the expected server stays as it is. */
export function explained(
  error: BootstrapError,
  answers: string | undefined,
  endpoint: string,
  expected: ExpectedServer | undefined,
): BootstrapError {
  if (
    answers === undefined || error instanceof PeerError ||
    ["aborted/call", "aborted/dial", "timeout/connect", "protocol/other-server"].includes(error.code)
  ) return error;
  const { name, usualPort } = expected ?? { name: "the expected server", usualPort: undefined };
  const port = usualPort === undefined ? "" : `: ${name}'s port is ${usualPort}`;
  return new BootstrapError("protocol/other-server", `Not ${name} at ${endpoint}: ${answers}`, {
    cause: error,
    next: `Check the address and the port${port}`,
    details: { endpoint },
  });
}
