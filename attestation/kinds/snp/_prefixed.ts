/**
 * Refusals of the certificate readers, as refusals of this kind of evidence.
 *
 * @module
 */
import { BootstrapError, isErrorCode } from "../../../platform/errors.ts";

const FAMILY = "refused/";
const PREFIX = "snp-";

/** Runs a task; a refusal `refused/CHECK` of it becomes `refused/snp-CHECK`, and nothing else changes. */
export async function prefixed<T>(task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const isGeneral = error instanceof BootstrapError && error.code.startsWith(FAMILY) &&
      !error.code.startsWith(FAMILY + PREFIX);
    if (!isGeneral) throw error;
    const check = PREFIX + error.code.slice(FAMILY.length);
    const code = FAMILY + check;
    if (!isErrorCode(code)) throw error;
    throw new BootstrapError(code, error.message, {
      details: { ...error.details, check },
      next: error.next,
      cause: error,
    });
  }
}
