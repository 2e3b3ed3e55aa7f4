/**
 * Compiles `main.ts` to the one binary of this project, unless no source has changed since:
 *
 *     npx --yes deno@2.9.5 run --allow-all tests/tools/compile.ts [OUTPUT]
 *
 * OUTPUT is `dist/bootstrapper` unless given.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { denort } from "./denort.ts";
import { digestOfFile } from "./digest.ts";
import { capture, run } from "./run.ts";
import { BuildStore, type Store } from "./store.ts";

const project = join(import.meta.dirname ?? ".", "../..");

/** The permissions of the compiled program. */
export const PERMISSIONS: readonly string[] = ["--allow-all"];
const FLAGS: readonly string[] = ["--no-code-cache", "--no-check"];

/**
 * Compiles `main.ts` to a binary and returns its path in the cache. The binary is rebuilt only when a source file, the
 * configuration or Deno has changed.
 */
export async function compile(store: Store = new BuildStore()): Promise<string> {
  const entry = join(project, "main.ts");
  const runtime = await denort(store);
  const config = await digestOfFile(join(project, "deno.json"));
  const recipe = { permissions: PERMISSIONS, flags: FLAGS, deno: Deno.version.deno, runtime: runtime ?? "", config };
  const folder = await store.cached("bootstrapper", { ...recipe, modules: await modules(entry) }, async (to) => {
    const { folder, log } = to;
    const output = ["--output", join(folder, "bootstrapper"), entry];
    const env = runtime === undefined ? {} : { DENORT_BIN: runtime };
    const command = [Deno.execPath(), "compile", ...FLAGS, ...PERMISSIONS, ...output] as const;
    await to.turn("one-core", () => run(command, { log, cwd: project, env }));
  });
  return join(folder, "bootstrapper");
}

/**
 * Every local module that `entry` imports, with its digest, and every package that these modules need, with its
 * version.
 */
async function modules(entry: string): Promise<string[]> {
  const info: unknown = JSON.parse(await capture([Deno.execPath(), "info", "--json", entry], { cwd: project }));
  if (!isModuleGraph(info)) {
    throw new Error(`Cannot read the modules of "${entry}" from what "deno info --json" printed`);
  }
  const sources = info.modules.map(async ({ specifier, local }) =>
    local === undefined ? specifier : `${specifier} ${await digestOfFile(local)}`
  );
  return [...await Promise.all(sources), ...Object.keys(info.npmPackages)].toSorted();
}

/** The parts of the output of `deno info --json` that this module reads. */
interface ModuleGraph {
  readonly modules: readonly { readonly specifier: string; readonly local?: string }[];
  readonly npmPackages: Readonly<Record<string, unknown>>;
}

function isModuleGraph(value: unknown): value is ModuleGraph {
  return typeof value === "object" && value !== null && "modules" in value && "npmPackages" in value;
}

if (import.meta.main) {
  const output = resolve(Deno.args[0] ?? join(project, "dist/bootstrapper"));
  const binary = await compile();
  await Deno.mkdir(dirname(output), { recursive: true });
  await Deno.copyFile(binary, `${output}.new`);
  await Deno.rename(`${output}.new`, output);
}
