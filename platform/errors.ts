/**
 * The one kind of error that leaves a module of this project.
 *
 * Decisions are made by {@linkcode BootstrapError.code}, never by the text.
 *
 * @module
 */
import { catalogueCode, ERROR_CATALOGUE } from "./errors/catalogue.ts";
import type { ErrorCode } from "./errors/catalogue.ts";
import { ERROR_FAMILIES } from "./errors/entry.ts";
import type { ErrorEntry, ErrorFamily } from "./errors/entry.ts";

export { ERROR_FAMILIES } from "./errors/entry.ts";
export type { ErrorCode, ErrorFamily };

/**
 * A code of a known family that is not of this version: a peer of another version sent it. Only {@linkcode readErrorCode} makes one.
 * It is an enumeration for the compiler alone, which refuses to compare those with any text, and so a misspelt code.
 */
export declare enum PeerErrorCode {
  /** Any such code. */
  OfAnotherVersion = "of another version",
}

/** What an error's code can be. What this program throws itself is of {@linkcode ErrorCode}. */
export type AnyErrorCode = ErrorCode | PeerErrorCode;

/** The part of each code that follows a prefix: `ErrorCheck<"refused/">` has `pcr-digest`. */
export type ErrorCheck<Prefix extends string, Code = ErrorCode> = Code extends `${Prefix}${infer Check}` ? Check
  : never;

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
  /** Whether the same request may succeed later without anybody changing anything. Default: as the catalogue says. */
  readonly retriable?: boolean;
  /** When to ask again, whole seconds; the details say so too. */
  readonly retryAfterSeconds?: number;
  /** What the person who reads the error should do next, as a sentence. */
  readonly next?: string;
  /** Facts for people and logs: the check, expected and seen, a path, a register. Never a secret, and nothing is decided by one. */
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
  readonly code: AnyErrorCode;
  /** Whether asking again later may work. */
  readonly retriable: boolean;
  /** When to ask again, if the error says so; whole seconds. */
  readonly retryAfterSeconds: number | undefined;
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

/** Whether something thrown is an error of one of some codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is BootstrapError {
  return error instanceof BootstrapError && codes.some((code) => code === error.code);
}

/** The family of an error code. */
export function errorFamily(code: AnyErrorCode): ErrorFamily {
  return familyOf(code) ?? "internal";
}

/** What the catalogue says of a code; nothing for a code that is not of this version. */
export function errorEntry(code: AnyErrorCode): ErrorEntry | undefined {
  const name = catalogueCode(code);
  return name === undefined ? undefined : ERROR_CATALOGUE[name];
}

/** What to do after an error of that code, where the error itself does not say so; without a final full stop. */
export function remedyOf(code: AnyErrorCode): string {
  const { remedy } = errorEntry(code) ?? ERROR_FAMILIES[errorFamily(code)];
  return remedy.replace(/\.$/, "");
}

/** Whether a text is a code of this version. */
export function isErrorCode(text: string): text is ErrorCode {
  return catalogueCode(text) !== undefined;
}

/** The code that a text from outside this process is: of this version, or a peer's own of a known family; else nothing. */
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

/** Anything thrown, as a {@linkcode BootstrapError}: itself where it is one, wrapped as `code` otherwise. */
export function asBootstrapError(error: unknown, code: AnyErrorCode = "internal/unexpected"): BootstrapError {
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
  const { exitCode } = error.retriable ? ERROR_FAMILIES.unavailable : ERROR_FAMILIES[errorFamily(error.code)];
  return exitCode;
}
