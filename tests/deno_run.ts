/**
 * The start of a command line that runs a program of this repository without a network. The packages are those of
 * `deno.lock`, from Deno's cache. Without the lock file Deno would ask the registry for the available versions.
 */
export const DENO_RUN: readonly [string, ...string[]] = Object.freeze([
  Deno.execPath(),
  ...["run", "--allow-all", "--frozen", "--cached-only"],
]);
