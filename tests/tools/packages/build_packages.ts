import { dirname, join } from "node:path";
import { cacheFolder } from "../cache_folder.ts";
import { compile } from "../compile.ts";
import { digestOfFile } from "../digest.ts";
import { run } from "../run.ts";
import type { Store } from "../store.ts";
import { packageArchitecture } from "./architecture.ts";
import { gzipFile, tarFile } from "./archives.ts";
import { type ContentInput, filesByHand, nodeFiles, programFiles } from "./contents.ts";
import { copyrightText } from "./copyright.ts";
import { descriptions } from "./descriptions.ts";
import { type ImageBase, imageBase, readParts } from "./image_base.ts";
import { manuals } from "./manuals.ts";
import { makePackage, nfpm, type PackageTools } from "./nfpm.ts";
import { npmDependencies } from "./npm_dependencies.ts";
import { ociImage } from "./oci_image.ts";
import type { Release } from "./release.ts";
import { sbomText } from "./sbom.ts";

/** The parts of {@linkcode buildPackages} that take long, and that stay the same from commit to commit. */
export async function packageParts(store: Store): Promise<void> {
  await Promise.all([nfpm(store), imageBase(store)]);
}

const repository = join(import.meta.dirname ?? ".", "../../..");

/** Makes one kind of what {@linkcode buildPackages} makes, in a folder, from what all have in common. */
type Maker = (folder: string, input: ContentInput, tools: PackageTools) => Promise<void>;

/**
 * Makes packages for Debian and for rpm, a tar file, a container image, their SBOMs, and a list of their checksums, for
 * the architecture of this machine. The same commit gives the same bytes, but for the image, which has Debian's
 * libraries as they are when it is made.
 *
 * @param folder The folder to make; what was there before is removed when all is done.
 */
export async function buildPackages(store: Store, release: Release, folder: string): Promise<void> {
  const base = await imageBase(store);
  await build(store, release, folder, [systemPackages, archive, (...args) => image(base, ...args)]);
}

/** Makes the packages for Debian and for rpm alone, as {@linkcode buildPackages} makes them. */
export async function buildSystemPackages(store: Store, release: Release, folder: string): Promise<void> {
  await build(store, release, folder, [systemPackages]);
}

async function build(store: Store, release: Release, folder: string, makers: readonly Maker[]): Promise<void> {
  const architecture = packageArchitecture(undefined);
  const [tool, binary] = await Promise.all([nfpm(store), compile(store, release.commit)]);
  const npm = await npmDependencies();
  const digest = await digestOfFile(binary);
  const inventory = { release, architecture: architecture.debian, binary: digest, deno: Deno.version.deno, npm };
  const input: ContentInput = {
    ...{ release, binary, copyright: await copyrightText(npm.values()) },
    sbom: (name, debian) => sbomText({ ...inventory, name, debian }),
  };
  await Deno.mkdir(dirname(folder), { recursive: true });
  const work = await Deno.makeTempDir({ prefix: "bootstrapper-packages-" });
  const made = `${folder}.new`;
  const log = join(cacheFolder(), "logs", "packages.log");
  try {
    await run(["rm", "-rf", made], { log });
    await Deno.mkdir(made);
    const tools: PackageTools = { nfpm: tool, release, architecture, work, log };
    await Promise.all(makers.map((make) => make(made, input, tools)));
    await Deno.writeTextFile(join(made, "SHA256SUMS"), await checksums(made));
    await run(["rm", "-rf", folder], { log });
    await Deno.rename(made, folder);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The name of what is not a package for Debian or for rpm. */
function nameOf({ release, architecture }: PackageTools): string {
  return `bootstrapper-${release.version}-linux-${architecture.debian}`;
}

async function systemPackages(folder: string, input: ContentInput, tools: PackageTools): Promise<void> {
  const { release, architecture } = tools;
  const program = [...await programFiles(input), ...await manuals(input.binary, tools.work, tools.log)];
  const described = descriptions(release);
  for (const [description, own] of [[described.program, program], [described.node, await nodeFiles(input)]] as const) {
    const { name } = description;
    const deb = join(folder, `${name}_${release.version}_${architecture.debian}.deb`);
    const rpm = join(folder, `${name}-${release.version}-1.${architecture.machine}.rpm`);
    await Promise.all([
      makePackage("deb", deb, description, own, tools),
      makePackage("rpm", rpm, description, own, tools),
    ]);
  }
}

/** For machines without a package manager, and for images that are built by hand. */
async function archive(folder: string, input: ContentInput, tools: PackageTools): Promise<void> {
  const { work, log } = tools;
  const name = nameOf(tools);
  const root = join(work, "archive", name);
  const install = (mode: string, from: string, path: string) =>
    run(["install", "-D", "-m", mode, from, join(root, path)], { log });
  await install("0755", input.binary, "bootstrapper");
  await install("0644", join(repository, "LICENSE"), "LICENSE");
  for (const { path, from } of await filesByHand()) await install("0644", from, join("deploy", path));
  const sbom = input.sbom("bootstrapper", []);
  await Deno.writeTextFile(join(root, "copyright"), input.copyright);
  await Deno.writeTextFile(join(root, "sbom.spdx.json"), sbom);
  await Deno.writeTextFile(join(folder, `${name}.spdx.json`), sbom);
  await run(["chmod", "-R", "u=rwX,go=rX", root], { log });
  const tar = join(folder, `${name}.tar`);
  await tarFile(tar, join(work, "archive"), [name], input.release.epochSeconds, log);
  await gzipFile(tar, log);
}

async function image(base: ImageBase, folder: string, input: ContentInput, tools: PackageTools): Promise<void> {
  const { work, log, architecture } = tools;
  const program = join(work, "program");
  await run(["install", "-D", "-m", "0755", input.binary, join(program, "usr/bin/bootstrapper")], { log });
  const documents = join(program, "usr/share/doc/bootstrapper");
  await run(["install", "-D", "-m", "0644", join(repository, "LICENSE"), join(documents, "LICENSE")], { log });
  await Deno.writeTextFile(join(documents, "copyright"), input.copyright);
  await run(["chmod", "-R", "u=rwX,go=rX", program], { log });
  const file = join(folder, `${nameOf(tools)}.oci`);
  const described = { release: input.release, architecture: architecture.debian, base: base.root, program };
  await ociImage(`${file}.tar`, described, work, log);
  await Deno.writeTextFile(`${file}.spdx.json`, input.sbom("bootstrapper-image", await readParts(base.parts)));
}

/** The lines that `sha256sum --check` reads. */
async function checksums(folder: string): Promise<string> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).toSorted();
  const lines = await Promise.all(names.map(async (name) => `${await digestOfFile(join(folder, name))}  ${name}\n`));
  return lines.join("");
}
