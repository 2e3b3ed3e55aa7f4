/**
 * Locates and reads the inputs of the targets.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Bytes } from "../../platform/bytes.ts";

const CORPUS = fileURLToPath(new URL("corpus", import.meta.url));
const CRASHERS = fileURLToPath(new URL("crashers", import.meta.url));

/** Reads a file of the corpus. */
export function readCorpus(path: string): Promise<Bytes> {
  return Deno.readFile(`${CORPUS}/${path}`);
}

/** The initial inputs of a target, sorted by file name. */
export function inputsOf(target: string): Promise<Bytes[]> {
  return filesOf(`${CORPUS}/${target}`);
}

/** The inputs on which a target once failed. */
export function crashersOf(target: string): Promise<Bytes[]> {
  return filesOf(`${CRASHERS}/${target}`);
}

/** All files of a folder, or none if the folder does not exist. */
export async function filesOf(folder: string): Promise<Bytes[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) if (isFile) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return await Promise.all(names.toSorted().map((name) => Deno.readFile(`${folder}/${name}`)));
}
