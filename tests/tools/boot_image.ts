import { join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import type { VmImage } from "./prepare_image.ts";
import { run } from "./run.ts";
import { BuildStore } from "./store.ts";
import type { Verity } from "./verity.ts";

/** The stub from Debian's package `systemd-boot-efi`. */
const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/** An address above the stub's own sections. */
const firstAddress = 0x20000;
const alignment = 0x10000;
const osRelease = 'ID=bootstrapper-test\nNAME="VM of bootstrapper\'s tests"\n';

/**
 * Makes a unified kernel image from systemd's stub, the image's kernel and initrd, and the kernel's arguments, which
 * include the root hash of the image.
 *
 * @param kernelArguments the arguments besides the root hash
 * @returns the absolute path of the image
 */
export async function bootImage(image: VmImage, kernelArguments: readonly string[]): Promise<string> {
  await debianPackages(["binutils", "systemd-boot-efi"]);
  const { rootHash, blocks }: Verity = JSON.parse(await Deno.readTextFile(image.verity));
  const commandLine = ["ro", `rootverity=${blocks}:${rootHash}`, ...kernelArguments].join(" ");
  const recipe = {
    code: await digestOfFile(import.meta.filename ?? ""),
    parts: await Promise.all([stub, image.kernel, image.initrd].map(digestOfFile)),
    commandLine,
  };
  const folder = await new BuildStore().cached("vm-uki", recipe, async ({ folder, log }) => {
    const texts = { osrel: join(folder, "osrel"), cmdline: join(folder, "cmdline") };
    await Deno.writeTextFile(texts.osrel, osRelease);
    await Deno.writeTextFile(texts.cmdline, commandLine);
    const added: string[] = [];
    let address = firstAddress;
    for (const [name, file] of Object.entries({ ...texts, linux: image.kernel, initrd: image.initrd })) {
      added.push("--add-section", `.${name}=${file}`, "--change-section-vma", `.${name}=${address}`);
      address += Math.ceil((await Deno.stat(file)).size / alignment) * alignment;
    }
    await run(["objcopy", ...added, stub, join(folder, "uki.efi")], { log });
  });
  return join(folder, "uki.efi");
}
