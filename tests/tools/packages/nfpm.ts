import { dirname, join } from "node:path";
import { buildGoTool } from "../build_go_tool.ts";
import type { GoTool } from "../go_tools.ts";
import { run } from "../run.ts";
import type { Store } from "../store.ts";
import type { Architecture } from "./architecture.ts";
import { MAINTAINER, type PackagedFile } from "./contents.ts";
import type { Release } from "./release.ts";

/** A kind of package. */
export type PackageKind = "deb" | "rpm";

/** A package, without its files. */
export interface PackageDescription {
  readonly name: string;
  /** The first line is a summary. */
  readonly description: string;
  /** What a package needs, in the form of each kind. */
  readonly needs: Readonly<Record<PackageKind, readonly string[]>>;
  /** What it is of little use without, in the form of each kind. */
  readonly recommends: readonly string[];
  /** Folders that it makes. */
  readonly folders: readonly string[];
  /** The scripts that run on the machine, by nfpm's names; paths of this machine. */
  readonly scripts: Readonly<Record<string, string>>;
}

/** What {@linkcode makePackage} works with. */
export interface PackageTools {
  /** The program `nfpm`. */
  readonly nfpm: string;
  readonly release: Release;
  readonly architecture: Architecture;
  /** An empty folder for files on their way. */
  readonly work: string;
  readonly log: string;
}

const nfpmVersion = "v2.48.0";

const nfpmTool: GoTool = {
  name: "nfpm",
  modules: [`github.com/goreleaser/nfpm/v2@${nfpmVersion}`],
  packages: ["github.com/goreleaser/nfpm/v2/cmd/nfpm"],
  tags: [],
  ldflags: `-s -w -X main.version=${nfpmVersion}`,
  cgo: false,
  debian: [],
};

/** Builds the program `nfpm`, and returns its path. */
export async function nfpm(store: Store): Promise<string> {
  return join(await buildGoTool(nfpmTool, store), "nfpm");
}

/**
 * Writes a package. Equal input gives equal bytes: all dates are the release's.
 *
 * @param output the file to write
 */
export async function makePackage(
  kind: PackageKind,
  output: string,
  described: PackageDescription,
  files: readonly PackagedFile[],
  tools: PackageTools,
): Promise<void> {
  const { release, architecture, work, log, nfpm } = tools;
  const root = join(work, `${described.name}.${kind}`);
  const mtime = new Date(release.epochSeconds * 1000).toISOString();
  const contents = [];
  for (const file of files) {
    if (file.only !== undefined && file.only !== kind) continue;
    contents.push({
      ...{ src: await staged(file, root), dst: file.target, ...typeOf(file, kind) },
      file_info: { mode: file.mode, owner: "root", group: "root", mtime },
    });
  }
  for (const folder of described.folders) {
    contents.push({ dst: folder, type: "dir", file_info: { mode: 0o755, owner: "root", group: "root", mtime } });
  }
  const configuration = {
    ...{ name: described.name, arch: architecture.debian, platform: "linux", version_schema: "none" },
    ...{ version: release.version, maintainer: MAINTAINER, license: "Apache-2.0" },
    ...{ section: "admin", priority: "optional", description: described.description, mtime },
    // The machine that builds is nobody's business, and differs.
    rpm: { compression: "zstd", buildhost: "localhost", group: "System Environment/Base" },
    // Debian 12's lintian reads no zstd. xz makes it 15 percent smaller, in two minutes instead of five seconds.
    deb: { compression: "gzip" },
    disable_globbing: true,
    ...{ depends: described.needs[kind], recommends: described.recommends, scripts: described.scripts, contents },
  };
  const file = `${root}.json`;
  await Deno.writeTextFile(file, JSON.stringify(configuration, undefined, 1));
  const env = { SOURCE_DATE_EPOCH: String(release.epochSeconds) };
  await run([nfpm, "package", "--config", file, "--packager", kind, "--target", output], { log, env });
}

/** Where a file's bytes are on this machine. */
async function staged({ target, content }: PackagedFile, root: string): Promise<string> {
  if (typeof content === "object" && "from" in content) return content.from;
  const path = join(root, target);
  await Deno.mkdir(dirname(path), { recursive: true });
  await (typeof content === "string" ? Deno.writeTextFile(path, content) : Deno.writeFile(path, content));
  return path;
}

/** What a package's tools treat in a way of its own: configuration that people change, documents, licences. */
function typeOf({ target }: PackagedFile, kind: PackageKind): { readonly type?: string } {
  if (target.startsWith("/etc/")) return { type: "config|noreplace" };
  if (kind === "deb") return {};
  if (target.startsWith("/usr/share/licenses/")) return { type: "license" };
  return target.startsWith("/usr/share/doc/") ? { type: "doc" } : {};
}
