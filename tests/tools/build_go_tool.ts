import { join } from "node:path";
import { type Build, cached } from "./cached.ts";
import { debianPackages } from "./debian_packages.ts";
import type { GoTool } from "./go_tools.ts";
import { capture, run } from "./run.ts";

const environment = {
  GOOS: "linux",
  GOARCH: "amd64",
  GOFLAGS: "-mod=mod -buildvcs=false",
  GO111MODULE: "on",
  GOWORK: "off",
};

/**
 * Builds one set of Go programs from their modules and returns the folder with the binaries. Modules and objects are
 * shared with the user's other builds (`GOMODCACHE`, `GOCACHE`); sums are checked as the user's `GOSUMDB` says.
 */
export async function buildGoTool(tool: GoTool): Promise<string> {
  const go = await capture(["go", "version"]);
  const { debian: _, ...recipe } = tool;
  return await cached(
    `go-${tool.name}`,
    { go, environment, ...recipe, stagingVersion: tool.stagingVersion ?? null },
    (to) => build(tool, to),
  );
}

async function build(tool: GoTool, { folder, log }: Build): Promise<void> {
  await debianPackages(tool.debian);
  const source = await Deno.makeTempDir({ prefix: `bootstrapper-go-${tool.name}-` });
  const options = { log, cwd: source, env: { ...environment, CGO_ENABLED: tool.cgo ? "1" : "0" } };
  try {
    const imports = tool.packages.map((path) => `\t_ "${path}"\n`).join("");
    await Deno.writeTextFile(join(source, "tools.go"), `//go:build tools\n\npackage tools\n\nimport (\n${imports})\n`);
    const requires = tool.modules.map((module) => `-require=${module}`);
    const replaces = await stagingReplaces(tool);
    await run(["go", "mod", "init", "bootstrapper.invalid/tools"], options);
    await run(["go", "mod", "edit", ...requires, ...replaces], options);
    await run(["go", "mod", "tidy"], options);
    await checkVersions(tool, source);
    const flags = ["-trimpath", `-tags=${tool.tags.join(",")}`, `-ldflags=${tool.ldflags}`];
    await run(["go", "build", ...flags, "-o", `${folder}/`, ...tool.packages], options);
  } finally {
    await Deno.remove(source, { recursive: true });
  }
}

/** `go mod tidy` may raise a required version; a build of another version than the named one must not pass. */
async function checkVersions(tool: GoTool, cwd: string): Promise<void> {
  for (const module of tool.modules) {
    const [path = ""] = module.split("@");
    const seen = await capture(["go", "list", "-m", "-f", "{{.Path}}@{{.Version}}", path], { cwd, env: environment });
    if (seen !== module) {
      throw new Error(`Cannot build "${tool.name}" as "go mod tidy" chose ${seen} instead of ${module}`);
    }
  }
}

/** Kubernetes replaces its staging modules by folders; users of its module must replace each by the published one. */
async function stagingReplaces(tool: GoTool): Promise<string[]> {
  if (tool.stagingVersion === undefined) return [];
  const [module = ""] = tool.modules;
  const download: unknown = JSON.parse(await capture(["go", "mod", "download", "-json", module], { env: environment }));
  if (typeof download !== "object" || download === null || !("GoMod" in download)) {
    throw new Error(`Cannot read the go.mod of ${module}: "go mod download -json" named none`);
  }
  const text = await Deno.readTextFile(String(download.GoMod));
  const staged = [...text.matchAll(/^\s*(\S+) => \.\/staging\/src\//gm)].map((match) => match[1] ?? "");
  return staged.map((path) => `-replace=${path}=${path}@${tool.stagingVersion}`);
}
