import { status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { BootstrapError, type ErrorCode, optionsOf } from "../platform/errors.ts";
import { grpcReason } from "../platform/grpc_reason.ts";
import { redact } from "./_redact.ts";

/**
 * The codes of TLS errors by which one side rejects the other's certificate: Node's names of verification errors, and
 * of alerts about certificates (RFC 8446, section 6.2).
 */
const CERTIFICATE_REFUSED =
  /^UNABLE_TO_|^CERT_|SELF_SIGNED|^ERR_TLS_CERT_|_ALERT_(?:[A-Z_]+_CERTIFICATE|CERTIFICATE_[A-Z_]+|UNKNOWN_CA|ACCESS_DENIED)$/;

const LONGEST_REASON = 300;

/** Returns the code of a TLS error about certificates, or `undefined` for other errors. */
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
    // etcd 3.6 reports "not enough started members" this way: `togRPCError` maps that error to one without a status.
    case status.UNKNOWN:
      return ["precondition/etcd", "refuses this in its current state"];
    case status.NOT_FOUND:
      return ["precondition/not-found", "does not have this object"];
    case status.CANCELLED:
      return ["aborted/etcd", "was called, but the call was cancelled"];
    default:
      return ["system/etcd", "failed"];
  }
}

/**
 * Makes the error for a call that ended with a gRPC status. `details` has `endpoint`, `request`, `status` and `reason`.
 */
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
      reason: redact(grpcReason(error.details)).slice(0, LONGEST_REASON),
    },
  });
}

/** Makes the error for a connection of which one side rejects the other's certificate. */
export function certificateError(endpoint: string, tlsCode: string): BootstrapError {
  return new BootstrapError(
    "unauthorized/etcd",
    `etcd at ${endpoint} and this client do not accept each other's certificates`,
    {
      details: { endpoint, reason: tlsCode },
      next: "Check that both certificates are valid and from this cluster's etcd CA, and etcd's names this address",
    },
  );
}

/** Makes one error for all endpoints if none answered. It prefers an error that a retry may fix. */
export function noEndpointError(errors: readonly BootstrapError[]): BootstrapError {
  const [first = new BootstrapError("internal/etcd", "No endpoint of etcd was asked")] = errors;
  const told = errors.find(({ retriable }) => retriable) ?? first;
  const all = errors.map(({ code, details }) => `${details.endpoint ?? "?"} ${code}`).join(", ");
  return new BootstrapError(told.code, told.message, {
    ...optionsOf(told),
    details: errors.length > 1 ? { ...told.details, endpoints: all } : told.details,
  });
}
