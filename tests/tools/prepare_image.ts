import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { Build } from "./cached.ts";
import { digestOfFile } from "./digest.ts";
import { capture, run } from "./run.ts";
import { BuildStore, type Store } from "./store.ts";
import { unitLinks } from "./unit_links.ts";
import { appendVerity } from "./verity.ts";
import { type VmBase, vmBase } from "./vm_base.ts";

/** The files from which VMs boot. */
export interface VmImage extends VmBase {
  /**
   * The file with the {@linkcode Verity} that protects `image`, as JSON. The tree of hashes is at the end of `image`.
   */
  readonly verity: string;
}

/** A file to put into a VM image, owned by root. It replaces a file of the same name in the image. */
export type ImageFile =
  & {
    /** The file's absolute path in the VM. */
    readonly target: string;
    /** Permission bits, such as `0o755`. */
    readonly mode: number;
  }
  & ({ readonly source: string } | { readonly content: string });

/** The additions of {@linkcode prepareImage} to the base image. */
export interface ImageAdditions {
  readonly files?: readonly ImageFile[];
  /** Names of units among `files` in `/etc/systemd/system` that are enabled as their `[Install]` sections say. */
  readonly enable?: readonly string[];
}

const verityCode = join(import.meta.dirname ?? ".", "verity.ts");
const verityFile = "verity.json";
const plainPath = /^(\/(?!\.\.?(\/|$))[\w.@:-]+)+$/;

/**
 * Makes a VM image with this project's own files, in a few seconds when the base exists. Needs root.
 *
 * @throws Error when a target is not a plain absolute path, or a unit to enable is not among the files.
 */
export async function prepareImage(
  { files = [], enable = [] }: ImageAdditions = {},
  store: Store = new BuildStore(),
): Promise<VmImage> {
  for (const { target } of files) {
    if (!plainPath.test(target)) {
      throw new Error(`Cannot put a file at "${target}" as that is not a plain absolute path`);
    }
  }
  const base = await vmBase(store);
  const listed = await Promise.all(
    files.map(async (file) => ({ target: file.target, mode: file.mode, digest: await digest(file, store) })),
  );
  const recipe = {
    code: await Promise.all([import.meta.filename ?? "", verityCode].map(digestOfFile)),
    base: base.image,
    files: listed.toSorted((a, b) => a.target < b.target ? -1 : 1),
    enable,
  };
  const folder = await store.cached(
    "vm-image",
    recipe,
    (to) => to.turn("one-core", () => build(to, base.image, files, enable)),
  );
  return { ...base, image: join(folder, "root.img"), verity: join(folder, verityFile) };
}

async function digest(file: ImageFile, store: Pick<Store, "digest">): Promise<string> {
  if ("source" in file) return await store.digest(file.source);
  return createHash("sha256").update(file.content).digest("hex");
}

async function build(
  { folder, log }: Build,
  base: string,
  files: readonly ImageFile[],
  enable: readonly string[],
): Promise<void> {
  const work = join(folder, "work");
  await Deno.mkdir(work);
  const image = join(folder, "root.img");
  await run(["cp", "--sparse=auto", base, image], { log });
  const commands: string[] = [];
  const folders = new Set<string>();
  const makeFolders = (path: string) => {
    if (path === "/" || folders.has(path)) return;
    makeFolders(dirname(path));
    folders.add(path);
    commands.push(`mkdir ${path}`);
  };
  for (const [index, file] of files.entries()) {
    const staged = join(work, `${index}`);
    if ("source" in file) await Deno.copyFile(file.source, staged);
    else await Deno.writeTextFile(staged, file.content);
    makeFolders(dirname(file.target));
    const mode = (0o100000 | file.mode).toString(8);
    commands.push(
      `rm ${file.target}`,
      `write ${staged} ${file.target}`,
      `set_inode_field ${file.target} mode 0${mode}`,
    );
  }
  for (const name of enable) {
    for (const { path, target } of unitLinks(name, await contentOf(name, files))) {
      makeFolders(dirname(path));
      commands.push(`rm ${path}`, `symlink ${path} ${target}`);
    }
  }
  // debugfs complains about a "mkdir" of an existing folder, and exits with 0 in any case, so the result is checked.
  const script = join(work, "commands");
  await Deno.writeTextFile(script, commands.join("\n"));
  await run(["debugfs", "-w", "-f", script, image], { log });
  await check(image, files, work);
  await Deno.remove(work, { recursive: true });
  await Deno.writeTextFile(join(folder, verityFile), JSON.stringify(await appendVerity(image)));
}

async function contentOf(name: string, files: readonly ImageFile[]): Promise<string> {
  const file = files.find(({ target }) => target === `/etc/systemd/system/${name}`);
  if (!file) throw new Error(`Cannot enable "${name}" as it is not among the files for /etc/systemd/system`);
  return "source" in file ? await Deno.readTextFile(file.source) : file.content;
}

async function check(image: string, files: readonly ImageFile[], work: string): Promise<void> {
  for (const file of files) {
    const dumped = join(work, `dump-${basename(file.target)}`);
    await capture(["debugfs", "-R", `dump ${file.target} ${dumped}`, image]);
    const seen = await digestOfFile(dumped);
    if (seen !== await digest(file, { digest: digestOfFile })) {
      throw new Error(`Cannot put "${file.target}" into the image: it reads back otherwise`);
    }
  }
}
