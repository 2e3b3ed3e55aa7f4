/**
 * The error type that the modules of this project throw.
 *
 * Code decides by {@linkcode BootstrapError.code}, never by the message.
 *
 * @module
 */
import { catalogueCode, ERROR_CATALOGUE } from "./errors/catalogue.ts";
import type { ErrorCode } from "./errors/catalogue.ts";
import { ERROR_FAMILIES } from "./errors/entry.ts";
import { present } from "./present.ts";
import type { ErrorEntry, ErrorFamily } from "./errors/entry.ts";

export { ERROR_FAMILIES } from "./errors/entry.ts";
export type { ErrorCode, ErrorFamily };

/**
 * A code of a known family that this version does not define, sent by a peer of another version. Only
 * {@linkcode readErrorCode} creates it. It is an enumeration for the compiler alone, which refuses to compare those
 * with any text, and so a misspelt code.
 */
export declare enum PeerErrorCode {
  /** Any such code. */
  OfAnotherVersion = "of another version",
}

/** The code of an error. Errors of this program itself have an {@linkcode ErrorCode}. */
export type AnyErrorCode = ErrorCode | PeerErrorCode;

/** The part of each code after a prefix: `ErrorCheck<"refused/">` contains `pcr-digest`. */
export type ErrorCheck<Prefix extends string, Code = ErrorCode> = Code extends `${Prefix}${infer Check}` ? Check
  : never;

/** A check of a peer's evidence that failed. */
export interface FailedCheck {
  /** The check's name, the part after the slash in `refused/pcr-4`. */
  readonly check: string;
  /** The value that would satisfy the check. */
  readonly expected: string;
  /** The value in the evidence. */
  readonly seen: string;
  /** The meaning of the failure, for people. */
  readonly message: string;
}

/** The optional properties of a {@linkcode BootstrapError}. */
export interface BootstrapErrorOptions {
  /** Whether the same request may succeed later without any change. Default: the catalogue's value for the code. */
  readonly retriable?: boolean;
  /** The delay before the next try, in whole seconds. It is also in the details. */
  readonly retryAfterSeconds?: number;
  /** The next action for the person who reads the error, as a sentence. */
  readonly next?: string;
  /**
   * Facts for people and logs, such as the check, the expected and seen values, a path, or a register. Never contains a
   * secret; code never decides by it.
   */
  readonly details?: Readonly<Record<string, string>>;
  /** All failed checks, if evidence was refused; the error itself is about the first. */
  readonly checks?: readonly FailedCheck[];
  /** The error that caused this one. */
  readonly cause?: unknown;
}

/** An error with a stable code, a sentence for people, and a next action. */
export class BootstrapError extends Error {
  /** The name that stack traces show. */
  override readonly name = "BootstrapError";
  readonly code: AnyErrorCode;
  /** Whether a later try may succeed. */
  readonly retriable: boolean;
  /** The delay before the next try in whole seconds, if the error specifies one. */
  readonly retryAfterSeconds: number | undefined;
  /** The next action; may be empty. */
  readonly next: string;
  /** Facts for people and logs; never contains a secret. */
  readonly details: Readonly<Record<string, string>>;
  /** All failed checks, if evidence was refused. */
  readonly checks: readonly FailedCheck[];

  /**
   * Creates an error.
   *
   * @param code The stable code, family first.
   * @param message The event and its object, as a sentence without a final full stop.
   * @param options Whether the error is retriable, the next action, facts, failed checks, and the cause.
   */
  constructor(code: AnyErrorCode, message: string, options: BootstrapErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    const { retryAfterSeconds } = options;
    this.code = code;
    this.retriable = options.retriable ?? isRetriable(code);
    this.retryAfterSeconds = retryAfterSeconds;
    this.next = options.next ?? "";
    this.details = retryAfterSeconds === undefined
      ? options.details ?? {}
      : { ...options.details, retryAfterSeconds: String(retryAfterSeconds) };
    this.checks = options.checks ?? [];
  }
}

/**
 * Returns the options that an error was made with, to make a changed copy of it. Fields of subclasses are not part of them.
 */
export function optionsOf(error: BootstrapError): BootstrapErrorOptions {
  const { retriable, retryAfterSeconds, next, details, checks, cause } = error;
  return {
    retriable,
    ...present("retryAfterSeconds", retryAfterSeconds),
    next,
    details,
    checks,
    ...present("cause", cause),
  };
}

/** Whether a thrown value is a {@linkcode BootstrapError} with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is BootstrapError {
  return error instanceof BootstrapError && codes.some((code) => code === error.code);
}

/** Returns the family of an error code; `internal` for an unknown one. */
export function errorFamily(code: AnyErrorCode): ErrorFamily {
  return familyOf(code) ?? "internal";
}

/** Returns the catalogue's entry for a code; `undefined` if this version does not define the code. */
export function errorEntry(code: AnyErrorCode): ErrorEntry | undefined {
  const name = catalogueCode(code);
  return name === undefined ? undefined : ERROR_CATALOGUE[name];
}

/** Returns the next action for errors of a code that have none of their own, without a final full stop. */
export function remedyOf(code: AnyErrorCode): string {
  const { remedy } = errorEntry(code) ?? ERROR_FAMILIES[errorFamily(code)];
  return remedy.replace(/\.$/, "");
}

/** Returns the next action after an error, without a final full stop: its own, or that of its code. */
export function nextOf(error: BootstrapError): string {
  return error.next === "" ? remedyOf(error.code) : error.next;
}

/** Whether this version defines the code. */
export function isErrorCode(text: string): text is ErrorCode {
  return catalogueCode(text) !== undefined;
}

/**
 * Reads an error code from outside this process. It is a code of this version, or a peer's code of a known family;
 * otherwise the result is `undefined`.
 */
export function readErrorCode(text: string): AnyErrorCode | undefined {
  if (isErrorCode(text)) return text;
  return /^[a-z]+\/[a-z0-9-]{1,64}$/.test(text) && familyOf(text) !== undefined ? text as PeerErrorCode : undefined;
}

function familyOf(code: string): ErrorFamily | undefined {
  const family = code.slice(0, Math.max(0, code.indexOf("/")));
  return Object.hasOwn(ERROR_FAMILIES, family) ? family as ErrorFamily : undefined;
}

function isRetriable(code: AnyErrorCode): boolean {
  return errorEntry(code)?.retriable ?? ERROR_FAMILIES[errorFamily(code)].retriable;
}

/**
 * Converts a thrown value to a {@linkcode BootstrapError}. A value that is not one becomes the cause of a new error
 * with `code`.
 */
export function asBootstrapError(error: unknown, code: AnyErrorCode = "internal/unexpected"): BootstrapError {
  if (error instanceof BootstrapError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BootstrapError(code, message, { cause: error });
}

const LONGEST_CHAIN = 8;

/** Returns the messages of an error's chain of causes, the nearest first. */
export function causesOf(error: BootstrapError): string[] {
  const causes: string[] = [];
  for (let { cause } = error as Error; cause instanceof Error && causes.length < LONGEST_CHAIN; cause = cause.cause) {
    causes.push(cause.message);
  }
  return causes;
}

/** Returns the error's message on one line, followed by those of its causes that it does not already contain. */
export function sentenceOf(error: BootstrapError): string {
  return [error.message, ...causesOf(error).filter((cause) => !error.message.includes(cause))].join(": ");
}

/**
 * Returns the same error with its causes in its message. An error's causes stay on this machine: this is for a peer that
 * may know all of them, such as the operator of a fresh node.
 */
export function withCauses(error: BootstrapError): BootstrapError {
  const sentence = sentenceOf(error);
  return sentence === error.message ? error : new BootstrapError(error.code, sentence, optionsOf(error));
}

/** Returns the command line's exit code for an error: 1 failed, 2 usage, 3 refused by policy, 4 retriable. */
export function exitCodeOf(error: BootstrapError): number {
  const { exitCode } = error.retriable ? ERROR_FAMILIES.unavailable : ERROR_FAMILIES[errorFamily(error.code)];
  return exitCode;
}
