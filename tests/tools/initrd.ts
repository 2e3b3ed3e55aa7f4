import { basename, join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import type { Build } from "./cached.ts";
import { run } from "./run.ts";

/**
 * Modules that are needed before the root file system is mounted; units read fw_cfg before udev has
 * run.
 */
const modules = [
  ...["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "qemu_fw_cfg"],
  // Loaded this early, it finds only the kernel's plain SHA-256, which is faster on emulated processors than the one
  // with vector instructions.
  "dm_verity",
];

/** The source of the only program in the initrd. */
export const initSource: string = join(import.meta.dirname ?? ".", "vm/init.c");

/**
 * Writes the initrd of the VMs: one static program and the kernel modules with their dependencies, for a root with
 * dm-verity on `/dev/vda`. It is a twentieth of the size of Debian's, which saves time in software emulation.
 *
 * @param modulesFolder the folder `/lib/modules/VERSION` of the kernel
 * @param initrd the file to write
 */
export async function makeInitrd(modulesFolder: string, initrd: string, { log }: Pick<Build, "log">): Promise<void> {
  await debianPackages(["gcc", "libc6-dev", "cpio"]);
  const root = await Deno.makeTempDir({ prefix: "bootstrapper-initrd-" });
  try {
    await run(["gcc", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-o", join(root, "init"), initSource], {
      log,
    });
    for (const name of ["dev", "proc", "root", "lib"]) await Deno.mkdir(join(root, name));
    const paths = inOrder(await Deno.readTextFile(join(modulesFolder, "modules.dep")), modules);
    for (const path of paths) await Deno.copyFile(join(modulesFolder, path), join(root, "lib", basename(path)));
    await Deno.writeTextFile(join(root, "modules"), paths.map((path) => `/lib/${basename(path)}\n`).join(""));
    const pack =
      `find . -exec touch -h -d @0 {} + && find . | sort | cpio --quiet --reproducible -o -H newc -R 0:0 >"$1"`;
    await run(["sh", "-euc", pack, "sh", initrd], { log, cwd: root });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/**
 * The paths of modules and of all their dependencies, each after the modules that it needs.
 *
 * @param dependencies the content of `modules.dep`, with lines of the form `path: paths that it needs, the deepest
 * last`
 * @param names modules by the kernel's names, which have `_` where a file name may have `-`
 * @throws Error when a module is unknown.
 */
export function inOrder(dependencies: string, names: readonly string[]): string[] {
  const paths: string[] = [];
  for (const name of names) {
    const line = dependencies.split("\n").find((line) =>
      basename(line.split(":")[0] ?? "").replaceAll("-", "_") === `${name}.ko`
    );
    if (line === undefined) throw new Error(`Cannot find the kernel module "${name}" in modules.dep`);
    const [path = "", needed = ""] = line.split(":");
    paths.push(...needed.trim().split(" ").filter((part) => part !== "").toReversed(), path);
  }
  return [...new Set(paths)];
}
