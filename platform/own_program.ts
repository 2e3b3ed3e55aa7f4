import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** How this program starts itself again. */
export interface OwnProgram {
  /** The command line, to which the arguments are added. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment that it needs. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Returns how this program starts itself again: the compiled binary, or a development run, which uses no network.
 *
 * @param mainModule Returns the URL of `main.ts`; a compiled binary does not call it.
 */
export function ownProgram(mainModule: () => string): OwnProgram {
  if (Deno.build.standalone) return { argv: [Deno.execPath()], env: {} };
  const cache = Deno.env.get("DENO_DIR") ?? join(Deno.env.get("HOME") ?? "/", ".cache/deno");
  const run = ["run", "--allow-all", "--no-check", "--frozen", "--cached-only"];
  return { argv: [Deno.execPath(), ...run, fileURLToPath(mainModule())], env: { DENO_DIR: cache } };
}
