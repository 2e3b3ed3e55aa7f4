import { join } from "node:path";
import { capture } from "../run.ts";

/** An npm package that the program imports, or that one of these depends on. */
export interface NpmDependency {
  readonly name: string;
  readonly version: string;
  /** The SHA-512 of the package's archive in hex, as `deno.lock` has it. */
  readonly sha512: string;
  /** The package's own licence expression, as in SPDX. */
  readonly license: string;
  /** The files in which the package states its licence, each with its text. */
  readonly licenseTexts: readonly string[];
  /** Whether a module of the program imports it. */
  readonly isImported: boolean;
  /** The keys `name@version` of what it depends on. */
  readonly dependencies: readonly string[];
}

/** The parts of the output of `deno info --json` that this module reads. */
interface ModuleGraph {
  readonly modules: readonly { readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly version: string;
      readonly dependencies: readonly string[];
      readonly localPath: string;
    }>
  >;
}

const repository = join(import.meta.dirname ?? ".", "../../..");
const LICENSE_FILE = /^(?:licen[cs]e|copying|notice)/i;
/** The sources in which packages without such a file state their licences. */
const LICENSE_IN_SOURCE: Readonly<Record<string, string>> = { "@bufbuild/protobuf": "dist/cjs/wire/varint.js" };

/**
 * Everything from npm that the binary may contain: what the modules of `entry` import, and what that depends on, by
 * `name@version`, sorted. The bundler leaves out what no module reaches, so the binary may contain less.
 *
 * @throws Error if a package has no checksum in `deno.lock`, or states no licence.
 */
export async function npmDependencies(
  entry = join(repository, "main.ts"),
): Promise<ReadonlyMap<string, NpmDependency>> {
  const info: unknown = JSON.parse(await capture([Deno.execPath(), "info", "--json", entry], { cwd: repository }));
  if (!isModuleGraph(info)) throw new Error(`Cannot read what "deno info --json ${entry}" printed`);
  const lock: unknown = JSON.parse(await Deno.readTextFile(join(repository, "deno.lock")));
  const found = new Map<string, NpmDependency>();
  const imported = new Set(info.modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  for (const key of reachable(imported, info.npmPackages)) {
    const listed = info.npmPackages[key];
    if (listed === undefined) throw new Error(`"deno info" does not list the package ${key}`);
    const { name, version, localPath } = listed;
    const license: unknown = Reflect.get(
      JSON.parse(await Deno.readTextFile(join(localPath, "package.json"))),
      "license",
    );
    if (typeof license !== "string") throw new Error(`The package ${key} states no licence`);
    found.set(key, {
      ...{ name, version, license: withoutParentheses(license), dependencies: listed.dependencies },
      isImported: imported.has(key),
      sha512: integrityOf(lock, key),
      licenseTexts: await licenseTexts(name, localPath),
    });
  }
  return found;
}

function reachable(roots: Iterable<string>, npmPackages: ModuleGraph["npmPackages"]): string[] {
  const seen = new Set<string>();
  const visit = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    npmPackages[key]?.dependencies.forEach(visit);
  };
  for (const root of roots) visit(root);
  return [...seen].toSorted();
}

function withoutParentheses(license: string): string {
  return /^\(([^()]*)\)$/.exec(license)?.[1] ?? license;
}

/** The checksum of a package's archive: `deno.lock` has it as in npm's own lock files, `sha512-` and base64. */
function integrityOf(lock: unknown, key: string): string {
  const packages = typeof lock === "object" && lock !== null ? Reflect.get(lock, "npm") : undefined;
  const entry = typeof packages === "object" && packages !== null ? Reflect.get(packages, key) : undefined;
  const integrity = typeof entry === "object" && entry !== null ? Reflect.get(entry, "integrity") : undefined;
  const [, base64] = typeof integrity === "string" ? /^sha512-([A-Za-z0-9+/]+=*)$/.exec(integrity) ?? [] : [];
  if (base64 === undefined) throw new Error(`deno.lock has no SHA-512 of the package ${key}`);
  return Uint8Array.fromBase64(base64).toHex();
}

async function licenseTexts(name: string, folder: string): Promise<string[]> {
  const files = Array.from(Deno.readDirSync(folder)).filter(({ isFile, name }) => isFile && LICENSE_FILE.test(name));
  const texts = await Promise.all(
    files.map(({ name }) => name).toSorted().map((file) => Deno.readTextFile(join(folder, file))),
  );
  if (texts.length > 0) return texts.map((text) => text.replaceAll("\r\n", "\n").trim());
  const source = LICENSE_IN_SOURCE[name];
  const lines = source === undefined ? [] : (await Deno.readTextFile(join(folder, source))).split("\n");
  const first = lines.findIndex((line) => line.startsWith("// Copyright"));
  const length = lines.slice(first).findIndex((line) => !line.startsWith("//"));
  if (first < 0 || length < 1) throw new Error(`The package in ${folder} has no file with its licence`);
  return [lines.slice(first, first + length).map((line) => line.replace(/^\/\/ ?/, "")).join("\n").trim()];
}

function isModuleGraph(value: unknown): value is ModuleGraph {
  return typeof value === "object" && value !== null && "modules" in value && "npmPackages" in value;
}
