import { basename, join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import type { GoTool } from "./go_tools.ts";
import { capture, run } from "./run.ts";
import type { Store, StoreBuild } from "./store.ts";

/** From Kubernetes' go.mod. */
const oldestGo = "1.26";

const environment = {
  GOOS: "linux",
  GOARCH: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
  GOFLAGS: "-mod=mod -buildvcs=false",
  GO111MODULE: "on",
  GOWORK: "off",
};

/**
 * The linker strips all DWARF anyway; compiling without it takes a sixth less processor time (cni: 17.0 s instead of
 * 20.2 s).
 */
const flags = ["-trimpath", "-gcflags=all=-dwarf=false"];

/**
 * Builds one set of Go programs from their modules and returns the folder with the binaries. Modules and objects are
 * shared with the user's other builds (`GOMODCACHE`, `GOCACHE`); checksums are verified as the user's `GOSUMDB` says.
 */
export async function buildGoTool(tool: GoTool, store: Store): Promise<string> {
  const go = await goVersion();
  const { debian: _, ...recipe } = tool;
  return await store.cached(
    `go-${tool.name}`,
    { go, environment, flags, ...recipe, stagingVersion: tool.stagingVersion ?? null },
    (to) => build(tool, to),
  );
}

/** @throws Error when Go is missing, or older than Kubernetes' go.mod requires. */
async function goVersion(): Promise<string> {
  const remedy = `install Go ${oldestGo} or newer, and put it on the PATH`;
  const version = await capture(["go", "version"]).catch((cause) => {
    throw new Error(`Cannot run "go version": ${remedy}`, { cause });
  });
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(version) ?? [];
  const [oldestMajor, oldestMinor] = oldestGo.split(".").map(Number);
  if (Number(major) === oldestMajor && Number(minor) >= (oldestMinor ?? 0)) return version;
  throw new Error(`Cannot build with "${version}": ${remedy}`);
}

async function build(tool: GoTool, { folder, log, turn }: StoreBuild): Promise<void> {
  const source = await Deno.makeTempDir({ prefix: `bootstrapper-go-${tool.name}-` });
  const options = { log, cwd: source, env: { ...environment, CGO_ENABLED: tool.cgo ? "1" : "0" } };
  try {
    const requires = tool.modules.map((module) => `-require=${module}`);
    const replaces = [...await stagingReplaces(tool), ...await emptiedReplace(tool, source, log)];
    await run(["go", "mod", "init", "bootstrapper.invalid/tools"], options);
    await run(["go", "mod", "edit", ...requires, ...replaces], options);
    // Fetches the modules of these packages in the versions that the tool's go.mod selects. "go mod tidy" selects the
    // same versions, but also fetches modules that only the tests of dependencies import.
    const tags = `-tags=${tool.tags.join(",")}`;
    await run(["go", "list", "-deps", "-f", "{{/* nothing */}}", tags, ...tool.packages], options);
    await checkVersions(tool, source);
    await debianPackages(tool.debian);
    const build = ["go", "build", ...flags, tags, `-ldflags=${tool.ldflags}`, "-o", `${folder}/`] as const;
    await turn("all-cores", () => run([...build, ...tool.packages], options));
  } finally {
    await Deno.remove(source, { recursive: true });
  }
}

/** A dependency may raise a required version. A build with a version other than the named one must fail. */
async function checkVersions(tool: GoTool, cwd: string): Promise<void> {
  for (const module of tool.modules) {
    const [path = ""] = module.split("@");
    const seen = await capture(["go", "list", "-m", "-f", "{{.Path}}@{{.Version}}", path], { cwd, env: environment });
    if (seen !== module) {
      throw new Error(`Cannot build "${tool.name}" as Go chose ${seen} instead of ${module}`);
    }
  }
}

/**
 * Kubernetes replaces its staging modules with folders; users of its module must replace each with the published
 * module.
 */
async function stagingReplaces(tool: GoTool): Promise<string[]> {
  if (tool.stagingVersion === undefined) return [];
  const text = await Deno.readTextFile(await downloadedModule(tool.modules[0] ?? "", "GoMod"));
  const staged = [...text.matchAll(/^\s*(\S+) => \.\/staging\/src\//gm)].map((match) => match[1] ?? "");
  return staged.map((path) => `-replace=${path}=${path}@${tool.stagingVersion}`);
}

/** Replaces the tool's own module with a copy of it in which some packages are empty. */
async function emptiedReplace({ modules, emptied = [] }: GoTool, source: string, log: string): Promise<string[]> {
  if (emptied.length === 0) return [];
  const [path = ""] = modules[0]?.split("@") ?? [];
  const copy = join(source, "copy");
  await run(["cp", "-r", "--no-preserve=mode", await downloadedModule(modules[0] ?? "", "Dir"), copy], { log });
  for (const folder of emptied) {
    await Deno.remove(join(copy, folder), { recursive: true });
    await Deno.mkdir(join(copy, folder));
    await Deno.writeTextFile(join(copy, folder, "empty.go"), `package ${basename(folder)}\n`);
  }
  return [`-replace=${path}=./copy`];
}

/**
 * Downloads a module, as `path@version`, and returns the path of its `go.mod` or of its folder in Go's cache.
 *
 * @throws Error if Go names none.
 */
export async function downloadedModule(module: string, part: "GoMod" | "Dir"): Promise<string> {
  const download: unknown = JSON.parse(await capture(["go", "mod", "download", "-json", module], { env: environment }));
  const path: unknown = typeof download === "object" && download !== null ? Reflect.get(download, part) : undefined;
  if (typeof path !== "string") throw new Error(`Cannot find ${module}: "go mod download -json" named no ${part}`);
  return path;
}
