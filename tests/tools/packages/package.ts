/**
 * Makes packages, a tar file, a container image, SBOMs and their checksums for the architecture of this machine:
 *
 *     npx --yes deno@2.9.5 task package [--architecture amd64|arm64] [FOLDER]
 *
 * FOLDER is `dist/packages` unless given. All dates in them are the commit's. Exit code 2: wrong arguments, or an
 * architecture that this machine cannot make packages for.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { orRefuse, readArguments, WrongArguments } from "../arguments.ts";
import { step } from "../step.ts";
import { BuildStore } from "../store.ts";
import { packageArchitecture } from "./architecture.ts";
import { buildPackages } from "./build_packages.ts";
import { currentRelease } from "./release.ts";

const repository = join(import.meta.dirname ?? ".", "../../..");

/**
 * Reads the arguments, and returns the folder to write.
 *
 * @throws {WrongArguments} Naming the option.
 */
function folderOf(args: readonly string[]): string {
  const { values: { architecture }, positionals: [folder, second] } = readArguments(args, {
    options: { architecture: { type: "string" } },
    allowPositionals: true,
  });
  if (second !== undefined) throw new WrongArguments(`Cannot read "${second}": one folder is written`);
  packageArchitecture(architecture);
  return folder === undefined ? join(repository, "dist/packages") : resolve(folder);
}

if (import.meta.main) {
  const folder = orRefuse(() => folderOf(Deno.args));
  const release = await currentRelease();
  await step(`make packages of ${release.version}`, () => buildPackages(new BuildStore(), release, folder));
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => join(folder, name)).toSorted();
  const text = new TextEncoder().encode(names.map((name) => `${name}\n`).join(""));
  for (let written = 0; written < text.length;) written += Deno.stdout.writeSync(text.subarray(written));
}
