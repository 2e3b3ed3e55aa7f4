/**
 * Errors on the wire: a gRPC status, and a `Refusal` in the trailing metadata.
 *
 * @module
 */
import { grpcReason } from "../platform/grpc_reason.ts";
import { present } from "../platform/present.ts";
import type { Metadata, ServiceError } from "@grpc/grpc-js";
import { FreshNodeError, PeerError } from "../protocol/refusal.ts";
import { Refusal } from "../proto/gen/bootstrapper.ts";
import { BootstrapError, errorFamily, nextOf, readErrorCode } from "../platform/errors.ts";
import type { ErrorFamily, FailedCheck } from "../platform/errors.ts";

/** The trailing metadata that has an encoded `Refusal`. */
export const METADATA_KEY = "bootstrapper-refusal-bin";
/** The largest encoded `Refusal`, bytes. */
export const MAXIMUM_REFUSAL_LENGTH = 8192;
const MAXIMUM_TEXT_LENGTH = 1024;
/** The longest text of a status, bytes. UTF-8 needs at most three for one unit of UTF-16. */
export const MAXIMUM_STATUS_TEXT_BYTES: number = 3 * MAXIMUM_TEXT_LENGTH;
const MAXIMUM_DETAILS = 16;
/** More than a TPM has registers. */
const MAXIMUM_CHECKS = 32;
/** Enough for some digests. Longer texts would leave no room for other checks. */
const MAXIMUM_CHECK_TEXT_LENGTH = 256;

/** The codes of gRPC that appear here. Its package would take a tenth of a second to load, for these numbers. */
const GRPC = Object.freeze({
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
});

const STATUS: Readonly<Record<ErrorFamily, number>> = Object.freeze({
  usage: GRPC.INVALID_ARGUMENT,
  malformed: GRPC.INVALID_ARGUMENT,
  refused: GRPC.PERMISSION_DENIED,
  unauthorized: GRPC.UNAUTHENTICATED,
  protocol: GRPC.INVALID_ARGUMENT,
  precondition: GRPC.FAILED_PRECONDITION,
  conflict: GRPC.ALREADY_EXISTS,
  unavailable: GRPC.UNAVAILABLE,
  timeout: GRPC.DEADLINE_EXCEEDED,
  aborted: GRPC.ABORTED,
  system: GRPC.INTERNAL,
  internal: GRPC.INTERNAL,
});

/**
 * Who receives an error. A stranger has not authenticated itself: it gets the code and possibly the time until the next
 * attempt.
 */
export type Audience = "stranger" | "peer";

/** A refusal as the process behind a front makes it, and the front sends it on. */
export interface RelayedStatus {
  /** The status of gRPC, 1 to 16. */
  readonly code: number;
  /** A text for people. */
  readonly text: string;
  /** An encoded `Refusal`. */
  readonly refusal: Uint8Array;
}

/** A refusal that the process behind a front has made and logged. */
export class RelayedRefusal extends Error {
  /** The name of the class, for logs. */
  override readonly name = "RelayedRefusal";

  /** Creates the error by which a front's exchange ends. */
  constructor(readonly status: RelayedStatus) {
    super(status.text);
  }
}

/** Converts an error to a status with the encoded refusal that the audience may see. */
export function encodeStatus(error: BootstrapError, audience: Audience): RelayedStatus {
  const { code, retriable, retryAfterSeconds = 0 } = error;
  // Strangers get the delay too, because they would retry at once without it.
  const shown = {
    code,
    message: "",
    retriable,
    next: "",
    details: {},
    checks: [],
    nodeIsFresh: false,
    retryAfterSeconds,
  };
  const refusal: Refusal = audience === "peer"
    ? {
      ...shown,
      message: short(error.message),
      next: short(nextOf(error)),
      nodeIsFresh: error instanceof FreshNodeError,
    }
    : shown;
  if (audience === "peer") {
    for (const [key, value] of Object.entries(error.details).slice(0, MAXIMUM_DETAILS)) {
      const more = { ...refusal.details, [key]: short(value) };
      if (encode({ ...refusal, details: more }).length <= MAXIMUM_REFUSAL_LENGTH) refusal.details = more;
    }
    for (const check of error.checks.slice(0, MAXIMUM_CHECKS)) {
      const checks = [...refusal.checks, eachText(check, (text) => short(text, MAXIMUM_CHECK_TEXT_LENGTH))];
      if (encode({ ...refusal, checks }).length <= MAXIMUM_REFUSAL_LENGTH) refusal.checks = checks;
    }
  }
  return { code: STATUS[errorFamily(code)], text: refusal.message || code, refusal: encode(refusal) };
}

/** A peer's `retryAfterSeconds`: 1 to 99 whole seconds. */
function readRetryAfter(seconds: number): number | undefined {
  return seconds >= 1 && seconds <= 99 ? seconds : undefined;
}

function encode(refusal: Refusal): Uint8Array {
  return Refusal.encode(refusal).finish();
}

function short(text: string, longest = MAXIMUM_TEXT_LENGTH): string {
  return text.slice(0, longest).toWellFormed();
}

function eachText({ check, expected, seen, message }: FailedCheck, change: (text: string) => string): FailedCheck {
  return { check: change(check), expected: change(expected), seen: change(seen), message: change(message) };
}

/**
 * Removes from a peer's text everything that could control a terminal or mislead a reader: control and format
 * characters, and all line ends.
 */
function printable(text: string): string {
  return short(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
}

/**
 * Converts the end of a call to an error: the peer's refusal if it sent one, otherwise the failure of the transport.
 */
export function errorOf(error: Pick<ServiceError, "code" | "details"> & { metadata?: Metadata }): BootstrapError {
  const [encoded] = error.metadata?.get(METADATA_KEY) ?? [];
  if (encoded instanceof Uint8Array && encoded.length <= MAXIMUM_REFUSAL_LENGTH) {
    const refusal = readRefusal(encoded);
    if (refusal !== undefined) return refusal;
  }
  const reason = printable(grpcReason(error.details));
  switch (error.code) {
    case GRPC.CANCELLED:
      return new BootstrapError("aborted/call", "The call was cancelled");
    case GRPC.RESOURCE_EXHAUSTED:
      return new BootstrapError("protocol/message-size", `A message is too large: ${reason}`);
    default:
      return new BootstrapError("unavailable/connection", `The connection failed: ${reason}`);
  }
}

function readRefusal(encoded: Uint8Array): PeerError | undefined {
  let refusal: Refusal;
  try {
    refusal = Refusal.decode(encoded);
  } catch {
    return undefined;
  }
  const code = readErrorCode(refusal.code);
  if (code === undefined) return undefined;
  const details = Object.fromEntries(
    Object.entries(refusal.details).slice(0, MAXIMUM_DETAILS)
      .map(([key, value]) => [printable(key), printable(value)] as const),
  );
  return new PeerError(code, printable(refusal.message) || `The peer refused: ${code}`, {
    retriable: refusal.retriable,
    next: printable(refusal.next),
    details,
    isFresh: refusal.nodeIsFresh,
    ...present("retryAfterSeconds", readRetryAfter(refusal.retryAfterSeconds)),
    checks: refusal.checks.slice(0, MAXIMUM_CHECKS).map((check) => eachText(check, printable)),
  });
}
