import { BootstrapError, type ErrorCode } from "../platform/errors.ts";

/** Returns the result of the work, or `undefined` if it fails with that code. */
export async function unless<T>(code: ErrorCode, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BootstrapError && error.code === code) return undefined;
    throw error;
  }
}

/** Returns the result of changing an object, or `undefined` if another client has changed or deleted it in between. */
export async function unlessChanged<T>(change: () => Promise<T>): Promise<T | undefined> {
  return await unless("precondition/not-found", () => unless("conflict/changed", change));
}
