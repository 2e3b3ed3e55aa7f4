/**
 * Compiles `main.ts` to the one binary of this project, unless no source has changed since:
 *
 *     npx --yes deno@2.9.5 run --allow-all tests/tools/compile.ts [OUTPUT]
 *
 * OUTPUT is `dist/bootstrapper` unless given.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { denort } from "./denort.ts";
import { digestOfFile } from "./digest.ts";
import { capture, run } from "./run.ts";
import { BuildStore, type Store } from "./store.ts";

const project = join(import.meta.dirname ?? ".", "../..");

/** The permissions of the compiled program. */
export const PERMISSIONS: readonly string[] = ["--allow-all"];
/**
 * V8 collects garbage when its heap has grown by half, and keeps little for new objects. By itself it lets a heap grow
 * much further, as if the machine had nothing else to do with its memory.
 */
const V8_FLAGS: readonly string[] = ["--heap-growing-percent=50", "--max-semi-space-size=4"];
/** `--no-code-cache`: see `binary.ts`. `--no-config`, `--no-lock`: the bundle has all packages already. */
const FLAGS: readonly string[] = [
  "--no-code-cache",
  "--no-check",
  "--no-config",
  "--no-lock",
  `--v8-flags=${V8_FLAGS.join(",")}`,
];
/** `--keep-names`: stack traces name functions. */
const BUNDLE_FLAGS: readonly string[] = ["--format=cjs", "--minify", "--keep-names"];
/** The sources beside `main.ts` and what it imports. */
const BINARY = join(project, "binary.ts");
const CACHE_MAKER = join(project, "tests/tools/make_code_cache.ts");
/** The date of all files inside the binary, which has their dates: two builds are the same bytes. */
const FILE_DATE = new Date("2026-01-01T00:00:00Z");
/** Two runs make the same cache, unless one of them did something else first: what two runs agree on is taken. */
const CACHE_TRIES = 8;

/**
 * Compiles `main.ts` to a binary and returns its path in the cache. The binary is rebuilt only when a source file, the
 * configuration or Deno has changed.
 *
 * @param commit What `bootstrapper version` names as the commit; undefined for a binary that names none.
 */
export async function compile(store: Store = new BuildStore(), commit?: string): Promise<string> {
  const entry = join(project, "main.ts");
  const runtime = await denort(store);
  const others = await Promise.all([join(project, "deno.json"), BINARY, CACHE_MAKER].map((path) => digestOfFile(path)));
  const flags = [...FLAGS, ...BUNDLE_FLAGS];
  const builtFrom = commit === undefined ? [] : ["--built-from", commit];
  const recipe = {
    permissions: PERMISSIONS,
    flags,
    builtFrom,
    deno: Deno.version.deno,
    runtime: runtime ?? "",
    others,
  };
  const folder = await store.cached("bootstrapper", { ...recipe, modules: await modules(entry) }, async (to) => {
    const { folder, log } = to;
    const build = join(folder, "build");
    await Deno.mkdir(build);
    const env = runtime === undefined ? {} : { DENORT_BIN: runtime };
    const compiled = async (source: string, includes: readonly string[], output: string, args: readonly string[]) => {
      const copied = join(build, basename(source));
      await Deno.copyFile(source, copied);
      for (const path of [copied, ...includes]) await Deno.utime(path, FILE_DATE, FILE_DATE);
      const included = includes.flatMap((path) => ["--include", path]);
      const argv = [
        Deno.execPath(),
        "compile",
        ...FLAGS,
        ...PERMISSIONS,
        ...included,
        "--output",
        output,
        copied,
        ...args,
      ] as const;
      await run(argv, { log, cwd: build, env });
    };
    await to.turn("one-core", async () => {
      const program = join(build, "program.txt");
      await bundle(entry, program, log);
      const maker = join(build, "make_code_cache");
      await compiled(CACHE_MAKER, [program], maker, []);
      const cache = await codeCache(maker, build, log);
      await compiled(BINARY, [program, cache], join(folder, "bootstrapper"), builtFrom);
    });
    await Deno.remove(build, { recursive: true });
  });
  return join(folder, "bootstrapper");
}

/** Writes `entry` and all it imports as one expression: a function that takes `require` and runs the program. */
async function bundle(entry: string, output: string, log: string): Promise<void> {
  const module = `${output}.js`;
  await run([Deno.execPath(), "bundle", ...BUNDLE_FLAGS, "--output", module, entry], { log, cwd: project });
  await Deno.writeTextFile(output, `(function(require,module,exports){${await Deno.readTextFile(module)}\n})`);
}

/** Has `maker` make the code cache, and returns its path. */
async function codeCache(maker: string, build: string, log: string): Promise<string> {
  const output = join(build, "program.cache");
  const seen = new Set<string>();
  for (let i = 0; i < CACHE_TRIES; i++) {
    await run([maker, "--make-code-cache", output], { log, cwd: build });
    const digest = await digestOfFile(output);
    if (seen.has(digest)) break;
    seen.add(digest);
  }
  await run([maker, "--check-code-cache", output], { log, cwd: build });
  return output;
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
