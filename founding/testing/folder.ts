/**
 * Temporary folders.
 *
 * @module
 */

/** A founder's folder, which is removed with the test. */
export async function founderFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "founder-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
