import { BootstrapError, isErrorCode, optionsOf } from "../../../platform/errors.ts";

/** Runs a task whose refusals are not specific to TDX: `refused/x` becomes `refused/tdx-x`. */
export async function prefixed<T>(task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    const [, check = ""] = /^refused\/(?!tdx-)(.+)$/.exec(error.code) ?? [];
    const code = `refused/tdx-${check}`;
    if (!isErrorCode(code)) throw error;
    const details = { ...error.details, check: `tdx-${check}` };
    throw new BootstrapError(code, error.message, { ...optionsOf(error), details, cause: error });
  }
}
