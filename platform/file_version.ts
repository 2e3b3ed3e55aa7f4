/**
 * Versions of the files that this program writes.
 *
 * The rule for every format: a file names its version. A program reads each version up to its own, and refuses a later
 * one as such, whatever else is in it: the file is good, and only the program is old. A change that an older program
 * would misread or refuse raises the version, and files of the versions before become test data. Only status and
 * timeline, which nothing depends on, are begun anew over a later version.
 *
 * @module
 */
import { BootstrapError, optionsOf } from "./errors.ts";

/**
 * Returns the reason to refuse a version that is later than the newest known one, as a clause. Returns `undefined` for
 * any other value: the format's own reader judges it.
 */
export function newerVersion(version: unknown, newest: number): string | undefined {
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version <= newest) return undefined;
  return `version: expected ${newest}, seen ${version}: a newer program wrote it`;
}

/** Like {@linkcode newerVersion}, for a document with a key `version`. */
export function newerDocument(document: unknown, newest: number): string | undefined {
  const isObject = typeof document === "object" && document !== null && Object.hasOwn(document, "version");
  return isObject ? newerVersion(Reflect.get(document, "version"), newest) : undefined;
}

/** Returns the same error with the right advice for a file of a later version. */
export function withNewerProgram(error: BootstrapError): BootstrapError {
  return new BootstrapError(error.code, error.message, {
    ...optionsOf(error),
    next:
      "Use the newer program, of the version that wrote the file. The file is not damaged: change nothing on the disk",
  });
}
