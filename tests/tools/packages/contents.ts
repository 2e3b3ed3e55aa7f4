/**
 * What is in the packages: `bootstrapper` has the program with its examples and pages, `bootstrapper-node` what makes a
 * machine a node. They are two, as the drop-ins of the second keep containerd and the kubelet from starting on a machine
 * that is not measured, and an operator's machine may run containerd too.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import type { DebianPart } from "./sbom.ts";
import type { Release } from "./release.ts";

/** A file of a package. */
export interface PackagedFile {
  /** The absolute path on the machine that it is installed on. */
  readonly target: string;
  /** Its bytes, or the file of this machine that has them. */
  readonly content: Uint8Array | string | { readonly from: string };
  readonly mode: number;
  /** The one kind of package that has it; undefined for both. */
  readonly only?: "deb" | "rpm";
}

/** What {@linkcode programFiles} and {@linkcode nodeFiles} are given. */
export interface ContentInput {
  readonly release: Release;
  /** The compiled program. */
  readonly binary: string;
  /** The text of the file `copyright`. */
  readonly copyright: string;
  /** Writes an SBOM of the binary under a name, with Debian packages. */
  readonly sbom: (name: string, debian: readonly DebianPart[]) => string;
}

/** The name and address that packages need, and that nobody answers. */
export const MAINTAINER = "bootstrapper maintainers <maintainers@bootstrapper.invalid>";

const repository = join(import.meta.dirname ?? ".", "../../..");
const deploy = join(repository, "deploy");
const UNIT = /\.(?:service|timer)$/;
/** What people who copy files by hand use; systemd takes a program in `/usr/local` for the machine's own. */
const PROGRAM_BY_HAND = "/usr/local/bin";
const UNITS = "/usr/lib/systemd/system";
/** Files of `deploy/` that are installed where systemd or udev reads them. */
const PLACES: Readonly<Record<string, string>> = {
  "50-bootstrapper.preset": "/usr/lib/systemd/system-preset/50-bootstrapper.preset",
  "70-bootstrapper-tpm.rules": "/usr/lib/udev/rules.d/70-bootstrapper-tpm.rules",
  "sysusers.conf": "/usr/lib/sysusers.d/bootstrapper.conf",
};

/** What Debian's checks find in the runtime, and Debian's own libraries cannot replace. */
const LINTIAN_OVERRIDES = `# The runtime Deno is linked with its own libraries.
bootstrapper: embedded-library lcms2 [usr/bin/bootstrapper]
`;

/** The files of the package `bootstrapper`. */
export async function programFiles({ release, binary, copyright, sbom }: ContentInput): Promise<PackagedFile[]> {
  const examples = (await filesBelow(deploy)).filter((path) => !isForNode(path) && !isOfRepository(path));
  const pages = (await filesBelow(join(repository, "docs"))).map((path) => join("docs", path));
  return [
    { target: "/usr/bin/bootstrapper", content: { from: binary }, mode: 0o755 },
    ...examples.map((path) => file(`/usr/share/bootstrapper/${path}`, { from: join(deploy, path) })),
    file("/usr/share/bootstrapper/sbom.spdx.json", sbom("bootstrapper", [])),
    ...[...pages, "README.md"].map((path) =>
      file(`/usr/share/doc/bootstrapper/${path}`, { from: join(repository, path) })
    ),
    ...documents("bootstrapper", release, copyright),
    { ...file("/usr/share/lintian/overrides/bootstrapper", LINTIAN_OVERRIDES), only: "deb" },
    { ...file("/usr/share/licenses/bootstrapper/LICENSE", { from: join(repository, "LICENSE") }), only: "rpm" },
  ];
}

/** The files of the package `bootstrapper-node`. */
export async function nodeFiles({ release, copyright }: ContentInput): Promise<PackagedFile[]> {
  const paths = (await filesBelow(deploy)).filter(isForNode);
  const installed = paths.map(async (path) => {
    const text = await Deno.readTextFile(join(deploy, path));
    return file(PLACES[path] ?? `${UNITS}/${path}`, text.replaceAll(PROGRAM_BY_HAND, "/usr/bin"));
  });
  return [...await Promise.all(installed), ...documents("bootstrapper-node", release, copyright)];
}

/** The files of `deploy/` that people use who copy them by hand, with their paths below it. */
export async function filesByHand(): Promise<{ readonly path: string; readonly from: string }[]> {
  const paths = (await filesBelow(deploy)).filter((path) => !isOfRepository(path));
  return paths.map((path) => ({ path, from: join(deploy, path) }));
}

function isForNode(path: string): boolean {
  return path in PLACES || dirname(path).endsWith(".service.d") || (dirname(path) === "." && UNIT.test(path));
}

/** Whether a file of `deploy/` is of use in the repository only: tests, and the scripts of packages. */
function isOfRepository(path: string): boolean {
  return path.endsWith("_test.ts") || dirname(path) === "packages";
}

function file(target: string, content: PackagedFile["content"]): PackagedFile {
  return { target, content, mode: 0o644 };
}

/** What Debian's policy asks of each package (sections 12.5 and 12.7), and rpm of licences. */
function documents(name: string, release: Release, copyright: string): PackagedFile[] {
  const folder = `/usr/share/doc/${name}`;
  return [
    file(`${folder}/copyright`, copyright),
    { ...file(`${folder}/changelog.gz`, compressed(changelog(name, release))), only: "deb" },
  ];
}

/** Debian's changelog, which must name the package's version (Debian policy, section 4.4). */
function changelog(name: string, { version, commit, epochSeconds }: Release): string {
  const date = new Date(epochSeconds * 1000).toUTCString().replace("GMT", "+0000");
  return `${name} (${version}) unstable; urgency=medium\n\n  * Built from the commit ${commit}.\n\n -- ${MAINTAINER}  ${date}\n`;
}

/** Without a name and a date, so that equal texts give equal bytes. */
export function compressed(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

async function filesBelow(folder: string, below = folder): Promise<string[]> {
  const entries = (await Array.fromAsync(Deno.readDir(below))).toSorted((a, b) => a.name < b.name ? -1 : 1);
  const found = entries.map(({ name, isDirectory }) => {
    const path = join(below, name);
    return isDirectory ? filesBelow(folder, path) : Promise.resolve([relative(folder, path)]);
  });
  return (await Promise.all(found)).flat();
}
