/**
 * The beginning of a command line that runs a program of this repository where no network is: packages are those of
 * `deno.lock`, from Deno's cache. Without the lock file Deno would ask the registry which versions there are.
 */
export const DENO_RUN: readonly [string, ...string[]] = Object.freeze([
  Deno.execPath(),
  ...["run", "--allow-all", "--frozen", "--cached-only"],
]);
