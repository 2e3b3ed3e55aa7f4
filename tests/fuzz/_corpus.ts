/**
 * Where the inputs of the targets are.
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

/** The inputs that a target begins with, in the order of their names. */
export function inputsOf(target: string): Promise<Bytes[]> {
  return filesOf(`${CORPUS}/${target}`);
}

/** The inputs that a target once failed with. */
export function crashersOf(target: string): Promise<Bytes[]> {
  return filesOf(`${CRASHERS}/${target}`);
}

/** All files of a folder; none where there is no such folder. */
export async function filesOf(folder: string): Promise<Bytes[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) if (isFile) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return await Promise.all(names.toSorted().map((name) => Deno.readFile(`${folder}/${name}`)));
}
