/**
 * Which files import which, read from their text: static imports, re-exports and `import("…")`.
 *
 * @module
 */
import { dirname, join, normalize } from "node:path";
import { repositoryRoot } from "../world.ts";

/** For each TypeScript file of the repository, the other TypeScript files that it imports, as paths from the root. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

const SPECIFIER = /(?:\bfrom|\bimport|\bimport\()\s*["'](\.{1,2}\/[^"']+)["']/g;
const LEFT_OUT = new Set([".git", "dist", "node_modules"]);

/** Reads all TypeScript files of the repository. */
export async function readImports(): Promise<ImportGraph> {
  const files = (await filesIn(".")).toSorted();
  return new Map(await Promise.all(files.map(async (file) => [file, await importsOf(file)] as const)));
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(repositoryRoot, folder)));
  const nested = entries.filter(({ name }) => !LEFT_OUT.has(name)).map(({ name, isDirectory }) => {
    const path = normalize(join(folder, name));
    if (isDirectory) return filesIn(path);
    return Promise.resolve(name.endsWith(".ts") ? [path] : []);
  });
  return (await Promise.all(nested)).flat();
}

async function importsOf(file: string): Promise<string[]> {
  return specifiersOf(await Deno.readTextFile(join(repositoryRoot, file)))
    .map((specifier) => normalize(join(dirname(file), specifier))).filter((path) => path.endsWith(".ts"));
}

/** The relative specifiers that a module's text imports or exports from. */
export function specifiersOf(text: string): string[] {
  return [...text.matchAll(SPECIFIER)].flatMap(([, specifier]) => specifier === undefined ? [] : [specifier]);
}

/** The house of a file: the first folder of its path, or the file itself where it stands in the root. */
export function houseOf(file: string): string {
  return file.split("/")[0] ?? file;
}

/** Groups of files that import each other, directly or through others (Tarjan's strongly connected components of two or more). */
export function circlesOf(graph: ImportGraph): string[][] {
  const numbers = new Map<string, number>();
  const lowest = new Map<string, number>();
  const path: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const number = numbers.size;
    numbers.set(file, number);
    lowest.set(file, number);
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      const seen = numbers.get(next);
      const reached = seen === undefined ? visit(next) : path.includes(next) ? seen : number;
      lowest.set(file, Math.min(lowest.get(file) ?? number, reached));
    }
    if (lowest.get(file) === number) {
      const circle = path.splice(path.indexOf(file));
      if (circle.length > 1 || (graph.get(file) ?? []).includes(file)) circles.push(circle.toSorted());
    }
    return lowest.get(file) ?? number;
  };
  for (const file of graph.keys()) if (!numbers.has(file)) visit(file);
  return circles;
}
