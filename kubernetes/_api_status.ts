import * as v from "valibot";
import { BootstrapError, type ErrorCode } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { redact } from "./_redact.ts";

/** The part of a `meta/v1` Status that describes the failure. */
const statusSchema = v.object({ reason: v.optional(v.string(), ""), message: v.optional(v.string(), "") });

/** The limit of a Status, which may quote the refused object. */
const MAXIMUM_BODY_BYTES = 1 << 20;
const LONGEST_MESSAGE = 500;

/**
 * How the API server begins its answer where an authorizer fails (`responsewriters.InternalError()`). It is no Status,
 * as all answers of handlers are, those of an overloaded etcd included.
 */
const AUTHORIZER_FAILED = "Internal Server Error: ";

function codeOf(status: number, reason: string, body: string): ErrorCode {
  if (status === 500 && body.startsWith(AUTHORIZER_FAILED)) return "unavailable/kubernetes-authorizer";
  switch (status) {
    case 400:
    case 422:
      return "malformed/kubernetes-api";
    case 401:
    case 403:
      return "unauthorized/kubernetes-api";
    case 404:
      return "precondition/not-found";
    case 409:
      return reason === "AlreadyExists" ? "conflict/already-exists" : "conflict/changed";
    default:
      return status === 408 || status === 429 || status >= 500
        ? "unavailable/kubernetes-api"
        : "internal/kubernetes-api";
  }
}

/** Converts an unsuccessful answer of the API server to an error. */
export function statusError(what: string, status: number, body: string): BootstrapError {
  const parsed = statusIn(body);
  const message = redact(parsed.message).slice(0, LONGEST_MESSAGE);
  return new BootstrapError(
    codeOf(status, parsed.reason, body),
    `${what} was refused with ${status}: ${message || parsed.reason}`,
    {
      details: { request: what, status: String(status), reason: parsed.reason },
    },
  );
}

/** Reads a Status. A proxy may answer with a page instead; then the status number is all there is. */
function statusIn(body: string): v.InferOutput<typeof statusSchema> {
  try {
    return readJson(body, { schema: statusSchema, maximumBytes: MAXIMUM_BODY_BYTES, error: notStatus });
  } catch {
    return { reason: "", message: "" };
  }
}

function notStatus(reason: string): BootstrapError {
  return new BootstrapError("malformed/kubernetes-api", `Cannot read a Status: ${reason}`);
}
