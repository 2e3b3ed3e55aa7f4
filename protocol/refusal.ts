/**
 * Refusals: of a peer's evidence or statement, and those sent by a peer.
 *
 * @module
 */
import { BootstrapError, optionsOf } from "../platform/errors.ts";
import type { AnyErrorCode, BootstrapErrorOptions, ErrorCheck } from "../platform/errors.ts";

/** The name of a check. The code of its refusal is `refused/CHECK`. */
export type RefusalCheck = ErrorCheck<"refused/">;

/** Makes a refusal with the check, the expected and the seen value. */
export function refusal(
  check: RefusalCheck,
  message: string,
  expected: string,
  seen: string,
  next = "",
  retriable?: boolean,
): BootstrapError {
  return new BootstrapError(`refused/${check}`, message, {
    details: { check, expected, seen },
    ...(retriable === undefined ? {} : { retriable }),
    ...(next === "" ? {} : { next }),
  });
}

/** The refusal of a node that refused before its lock, and is therefore still fresh: the cluster that it proposed never exists. */
export class FreshNodeError extends BootstrapError {
  /** Takes over everything from the error that made the node refuse, which becomes the cause. */
  constructor(cause: BootstrapError) {
    super(cause.code, cause.message, { ...optionsOf(cause), cause });
  }
}

/** The options of a {@linkcode PeerError}. */
export interface PeerErrorOptions extends BootstrapErrorOptions {
  /** Whether the peer states that it is still a fresh node. Default: false. */
  readonly isFresh?: boolean;
}

/** A refusal that the peer sent over the channel. */
export class PeerError extends BootstrapError {
  /** Whether the peer states that it is still a fresh node. */
  readonly isFresh: boolean;

  /** Adds `saidBy: peer` to the details, for people and for programs that read the error as JSON. */
  constructor(code: AnyErrorCode, message: string, options: PeerErrorOptions = {}) {
    super(code, message, { ...options, details: { ...options.details, saidBy: "peer" } });
    this.isFresh = options.isFresh ?? false;
  }
}
