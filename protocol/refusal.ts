/**
 * Refusals: of a peer's evidence or statement, and those that a peer sent.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { AnyErrorCode, BootstrapErrorOptions, ErrorCheck } from "../platform/errors.ts";

/** The name of a check that refuses: the code of its refusal is `refused/` and this. */
export type RefusalCheck = ErrorCheck<"refused/">;

/** A refusal that names the check, what was expected and what was seen. */
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

/** The detail of a refusal by a node that refused before its lock, and is fresh still. */
export const NODE_IS_FRESH: Readonly<Record<"node", string>> = Object.freeze({ node: "fresh" });

/** What a {@linkcode PeerError} carries besides its sentence. */
export interface PeerErrorOptions extends BootstrapErrorOptions {
  /** Whether the peer says that it is a fresh node still. Default: it does not. */
  readonly isFresh?: boolean;
}

/** A refusal that the peer sent over the channel. */
export class PeerError extends BootstrapError {
  /** Whether the peer says that it is a fresh node still. */
  readonly isFresh: boolean;

  /** The details say `saidBy: peer` too, for people and for programs that read the error as JSON. */
  constructor(code: AnyErrorCode, message: string, options: PeerErrorOptions = {}) {
    super(code, message, { ...options, details: { ...options.details, saidBy: "peer" } });
    this.isFresh = options.isFresh ?? false;
  }
}
