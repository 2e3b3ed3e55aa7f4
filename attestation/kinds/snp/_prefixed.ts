/**
 * Refusals of the certificate readers, as refusals of this kind of evidence.
 *
 * @module
 */
import { BootstrapError, isErrorCode, optionsOf } from "../../../platform/errors.ts";

/** Runs a task; a refusal `refused/CHECK` of it becomes `refused/snp-CHECK`, and nothing else changes. */
export async function prefixed<T>(task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    const [, check = ""] = /^refused\/(?!snp-)(.+)$/.exec(error.code) ?? [];
    const code = `refused/snp-${check}`;
    if (!isErrorCode(code)) throw error;
    const details = { ...error.details, check: `snp-${check}` };
    throw new BootstrapError(code, error.message, { ...optionsOf(error), details, cause: error });
  }
}
