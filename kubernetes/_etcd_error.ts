import { status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { BootstrapError, type ErrorCode } from "../platform/errors.ts";
import { redact } from "./_redact.ts";

/**
 * Codes of TLS errors that say that one side does not accept the other's certificate: Node's names of verification errors,
 * and of the alerts about certificates (RFC 8446, section 6.2).
 */
const CERTIFICATE_REFUSED =
  /^UNABLE_TO_|^CERT_|SELF_SIGNED|^ERR_TLS_CERT_|_ALERT_(?:[A-Z_]+_CERTIFICATE|CERTIFICATE_[A-Z_]+|UNKNOWN_CA|ACCESS_DENIED)$/;

const LONGEST_REASON = 300;

/** The code of a TLS error that is a matter of certificates; `undefined` for others. */
export function codeOfTlsError(error: Error & { readonly code?: unknown }): string | undefined {
  return typeof error.code === "string" && CERTIFICATE_REFUSED.test(error.code) ? error.code : undefined;
}

function outcomeOf(grpcStatus: number): readonly [code: ErrorCode, sentence: string] {
  switch (grpcStatus) {
    case status.DEADLINE_EXCEEDED:
      return ["timeout/etcd", "did not answer in time"];
    case status.UNAVAILABLE:
    case status.RESOURCE_EXHAUSTED:
    case status.ABORTED:
      return ["unavailable/etcd", "cannot be reached or cannot serve now"];
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return ["unauthorized/etcd", "does not allow this client to do this"];
    case status.FAILED_PRECONDITION:
    // So etcd 3.6 says "not enough started members": `togRPCError` maps that error to one without a status.
    case status.UNKNOWN:
      return ["precondition/etcd", "refuses this in its present state"];
    case status.NOT_FOUND:
      return ["precondition/not-found", "has nothing such"];
    case status.CANCELLED:
      return ["aborted/etcd", "was not waited for"];
    default:
      return ["system/etcd", "failed"];
  }
}

/** The error for a call that ended with a gRPC status. `details` has `endpoint`, `request`, `status` and `reason`. */
export function etcdError(
  endpoint: string,
  request: string,
  error: Pick<ServiceError, "code" | "details">,
): BootstrapError {
  const [code, sentence] = outcomeOf(error.code);
  return new BootstrapError(code, `etcd at ${endpoint} ${sentence}: ${request}`, {
    details: {
      endpoint,
      request,
      status: status[error.code] ?? String(error.code),
      reason: redact(error.details).slice(0, LONGEST_REASON),
    },
  });
}

/** The error for two sides of which one does not accept the other's certificate. */
export function certificateError(endpoint: string, tlsCode: string): BootstrapError {
  return new BootstrapError(
    "unauthorized/etcd",
    `etcd at ${endpoint} and this client do not accept each other's certificates`,
    {
      details: { endpoint, reason: tlsCode },
      next: "Look whether both certificates are of this cluster's etcd CA, still valid, and etcd's for this address",
    },
  );
}

/** One error for all endpoints of which none answered: one that asking again may heal, if there is such a one. */
export function noEndpointError(errors: readonly BootstrapError[]): BootstrapError {
  const [first = new BootstrapError("internal/etcd", "No endpoint of etcd was asked")] = errors;
  const told = errors.find(({ retriable }) => retriable) ?? first;
  const all = errors.map(({ code, details }) => `${details.endpoint ?? "?"} ${code}`).join(", ");
  return new BootstrapError(told.code, told.message, {
    retriable: told.retriable,
    next: told.next,
    cause: told.cause,
    details: errors.length > 1 ? { ...told.details, endpoints: all } : told.details,
  });
}
