/**
 * The one kind of error that leaves a module of this project.
 *
 * Decisions are made by {@linkcode BootstrapError.code}, never by the text.
 *
 * @module
 */

/** The families of failures, each with the exit code that the command line gives it. */
export const ERROR_CODES = {
  /** A flag, a configuration or a file that a person wrote is wrong. */
  usage: 2,
  /** Bytes from a peer, a device or a file do not have the form they must have. */
  malformed: 1,
  /** The peer's evidence does not satisfy the policy. */
  refused: 3,
  /** The peer is not one that this side talks to. */
  unauthorized: 3,
  /** The peer broke the protocol: order, size, version, signature. */
  protocol: 3,
  /** The node, the cluster or the record is in a state that does not allow this. */
  precondition: 1,
  /** Somebody else holds what was asked for, by a valid claim. */
  conflict: 1,
  /** Not now: asking again later may work. */
  unavailable: 4,
  /** A deadline passed. */
  timeout: 4,
  /** The operation was ended by its owner. */
  aborted: 1,
  /** The operating system, a device or a subprocess failed. */
  system: 1,
  /** A condition that must always hold does not: a defect in this program. */
  internal: 1,
} as const;

/** A family of failures. */
export type ErrorFamily = keyof typeof ERROR_CODES;

/** A stable error code: its family, a slash, and what exactly, as in `refused/pcr`. */
export type ErrorCode = `${ErrorFamily}/${string}`;

/** A check of a peer's evidence that failed. */
export interface FailedCheck {
  /** Its name, as in `refused/pcr-4`. */
  readonly check: string;
  /** What would satisfy it. */
  readonly expected: string;
  /** What the evidence shows. */
  readonly seen: string;
  /** What it means. */
  readonly message: string;
}

/** What a {@linkcode BootstrapError} carries beside its sentence. */
export interface BootstrapErrorOptions {
  /** Whether the same request may succeed later without anybody changing anything. Default: by the family. */
  readonly retriable?: boolean;
  /** What the person who reads the error should do next, as a sentence. */
  readonly next?: string;
  /** Facts for people and programs: the check, expected and seen, a path, a register. Never a secret. */
  readonly details?: Readonly<Record<string, string>>;
  /** All checks that failed, where evidence was refused; the error itself is about the first. */
  readonly checks?: readonly FailedCheck[];
  /** The error below this one. */
  readonly cause?: unknown;
}

/** An error with a stable code, a sentence for people and a hint at what to do next. */
export class BootstrapError extends Error {
  /** As stack traces show it. */
  override readonly name = "BootstrapError";
  /** The stable code. */
  readonly code: ErrorCode;
  /** Whether asking again later may work. */
  readonly retriable: boolean;
  /** What to do next, or empty. */
  readonly next: string;
  /** Facts; never a secret. */
  readonly details: Readonly<Record<string, string>>;
  /** All checks that failed, where evidence was refused. */
  readonly checks: readonly FailedCheck[];

  /**
   * Makes an error.
   *
   * @param code The stable code, family first.
   * @param message What happened, and to what, as a sentence without a final full stop.
   * @param options Retriable, next action, facts, failed checks, cause.
   */
  constructor(code: ErrorCode, message: string, options: BootstrapErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    const family = errorFamily(code);
    this.retriable = options.retriable ?? (family === "unavailable" || family === "timeout");
    this.next = options.next ?? "";
    this.details = options.details ?? {};
    this.checks = options.checks ?? [];
  }
}

/** The family of an error code. */
export function errorFamily(code: ErrorCode): ErrorFamily {
  const family = code.slice(0, code.indexOf("/"));
  return Object.hasOwn(ERROR_CODES, family) ? family as ErrorFamily : "internal";
}

/** Anything thrown, as a {@linkcode BootstrapError}: itself where it is one, wrapped as `code` otherwise. */
export function asBootstrapError(error: unknown, code: ErrorCode = "internal/unexpected"): BootstrapError {
  if (error instanceof BootstrapError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BootstrapError(code, message, { cause: error });
}

const LONGEST_CHAIN = 8;

/** The sentences of the errors below an error, the nearest first. */
export function causesOf(error: BootstrapError): string[] {
  const causes: string[] = [];
  for (let { cause } = error as Error; cause instanceof Error && causes.length < LONGEST_CHAIN; cause = cause.cause) {
    causes.push(cause.message);
  }
  return causes;
}

/** What happened and why, on one line: the error's sentence and those below it that it does not repeat. */
export function sentenceOf(error: BootstrapError): string {
  return [error.message, ...causesOf(error).filter((cause) => !error.message.includes(cause))].join(": ");
}

/** The exit code of the command line for an error: 1 failed, 2 usage, 3 refused by policy, 4 retriable. */
export function exitCodeOf(error: BootstrapError): number {
  return error.retriable ? ERROR_CODES.unavailable : ERROR_CODES[errorFamily(error.code)];
}
