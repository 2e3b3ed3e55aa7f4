/**
 * Turns refusals of the certificate readers into refusals of this kind of evidence.
 *
 * @module
 */
import { BootstrapError, isErrorCode, optionsOf } from "../../../platform/errors.ts";

/** Runs a task. A refusal `refused/CHECK` from it becomes `refused/snp-CHECK`; other errors stay as they are. */
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
