/**
 * Refusals: of a peer's evidence or statement, and those that a peer sent.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { BootstrapErrorOptions, ErrorCode } from "../platform/errors.ts";

/** A refusal that names the check, what was expected and what was seen. */
export function refusal(
  check: string,
  message: string,
  expected: string,
  seen: string,
  next = "",
  retriable = false,
): BootstrapError {
  return new BootstrapError(`refused/${check}`, message, {
    details: { check, expected, seen },
    retriable,
    ...(next === "" ? {} : { next }),
  });
}

/** The detail of a refusal by a node that refused before its lock, and is fresh still. */
export const NODE_IS_FRESH: Readonly<Record<"node", string>> = Object.freeze({ node: "fresh" });

/** A refusal that the peer sent over the channel. */
export class PeerError extends BootstrapError {
  /** Whether the peer says that it is a fresh node still: {@linkcode NODE_IS_FRESH}. */
  readonly isFresh: boolean;

  /** The details say `saidBy: peer` too, for people and for programs that read the error as JSON. */
  constructor(code: ErrorCode, message: string, options: BootstrapErrorOptions = {}) {
    super(code, message, { ...options, details: { ...options.details, saidBy: "peer" } });
    this.isFresh = options.details?.["node"] === NODE_IS_FRESH.node;
  }
}
