import { join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import { run } from "./run.ts";
import { BuildStore } from "./store.ts";

const folderBeside = join(import.meta.dirname ?? ".", "../../../shared/protocol");
const packed = join(folderBeside, "proverif-2.05.xz");
const unpackedDigest = "8c38d6a76cc57e4617ca21bd538908aa40b8c1ee3b3c7374b0b5e312dd94b9b1";

/**
 * The path of ProVerif 2.05, which checks the protocol's model: the value of `BOOTSTRAPPER_PROVERIF`, or the program
 * for x86-64 Linux that is packed in a file beside this repository.
 *
 * @throws Error when there is neither, with how to build it, or when the file is not the expected one.
 */
export async function proverif(): Promise<string> {
  const chosen = Deno.env.get("BOOTSTRAPPER_PROVERIF");
  if (chosen) return chosen;
  if (Deno.build.arch !== "x86_64" || !await Deno.stat(packed).then(() => true, () => false)) {
    throw new Error(
      `Cannot find ProVerif as ${packed} is not there or not for this machine: build version 2.05 (opam's package ` +
        "proverif.2.05), and set BOOTSTRAPPER_PROVERIF to the path of the program",
    );
  }
  const folder = await new BuildStore().cached("proverif", { unpackedDigest }, async ({ folder, log }) => {
    await debianPackages(["xz-utils"]);
    const file = join(folder, "proverif");
    await run(["sh", "-euc", `xz -dc "$1" >"$2"`, "sh", packed, file], { log });
    const digest = await digestOfFile(file);
    if (digest !== unpackedDigest) {
      throw new Error(`Cannot use "${packed}": its SHA-256 is ${digest}, not ${unpackedDigest}`);
    }
    await Deno.chmod(file, 0o755);
  });
  return join(folder, "proverif");
}
