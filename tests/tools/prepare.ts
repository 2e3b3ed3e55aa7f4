/**
 * Fetches and builds what the tests need, and prints where it is:
 *
 *     npx --yes deno@2.9.5 run --allow-all tests/tools/prepare.ts [--for integration|vm|all]
 *
 * `integration` covers Debian packages, Go binaries, and the tools for unified kernel images and packages; `vm` adds the base of the VM images; `all` is the default.
 * Parts that exist already are not built again. Exit code 2: wrong arguments.
 *
 * @module
 */
import { orRefuse, readArguments, WrongArguments } from "./arguments.ts";
import { buildMissing } from "./build_missing.ts";
import { packageParts } from "./packages/build_packages.ts";
import { DEBIAN_SUITES, debianRoot } from "./packages/debian_root.ts";
import { spdxChecker } from "./packages/spdx_tools.ts";
import { denort } from "./denort.ts";
import { goBinaries } from "./go_binaries.ts";
import { buildPackages, integrationPackages, vmPackages } from "./package_sets.ts";
import { prepareBinaries } from "./prepare_binaries.ts";
import type { Store } from "./store.ts";
import { ukiTools } from "./uki_tools.ts";
import { vmBase } from "./vm_base.ts";

/** A set of tests, named by where they run. */
export type Purpose = "integration" | "vm" | "all";

const purposes: readonly Purpose[] = ["integration", "vm", "all"];

/**
 * Prepares everything that a set of tests needs, reports on standard error what it builds, and returns absolute paths
 * by name.
 */
export async function prepare(purpose: Purpose): Promise<Record<string, string>> {
  const packages = [...purpose === "vm" ? [] : integrationPackages, ...purpose === "integration" ? [] : vmPackages];
  const make = async (store: Store) => {
    const [, runtime, base] = await Promise.all([
      store.packages([...new Set([...buildPackages, ...packages])]),
      denort(store),
      purpose === "integration" ? goBinaries(store).then(() => ({})) : vmBase(store),
      ukiTools(store),
      ...purpose === "vm" ? [] : packageTests(store),
    ]);
    return { ...(runtime === undefined ? {} : { denort: runtime }), ...base };
  };
  const found = await buildMissing(make, { write: (text) => write(Deno.stderr, text), columns: stderrColumns });
  const { dir } = await prepareBinaries();
  return { binaries: dir, ...found };
}

/** What the tests of packages need. */
function packageTests(store: Store): Promise<unknown>[] {
  return [packageParts(store), spdxChecker(store), ...DEBIAN_SUITES.map((suite) => debianRoot(store, suite))];
}

function stderrColumns(): number | undefined {
  return Deno.stderr.isTerminal() ? Deno.consoleSize().columns : undefined;
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}

/**
 * Reads the arguments.
 *
 * @throws {WrongArguments} Naming the option.
 */
export function purposeOf(args: readonly string[]): Purpose {
  const { values: { for: text } } = readArguments(args, { options: { for: { type: "string", default: "all" } } });
  const purpose = purposes.find((one) => one === text);
  if (purpose !== undefined) return purpose;
  throw new WrongArguments(
    `Cannot read --for: it must be one of ${purposes.join(", ")}; current value is "${text}"`,
  );
}

if (import.meta.main) {
  const found = await prepare(orRefuse(() => purposeOf(Deno.args)));
  const lines = Object.entries(found).map(([name, path]) => `${name} ${path}\n`);
  write(Deno.stdout, lines.join(""));
}
