import { createHash } from "node:crypto";
import { join } from "node:path";

/** The SHA-256 of a file's content, in lower-case hex. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Every file below a folder as `path mode digest`, sorted: equal lists mean equal content.
 *
 * @throws Error when the folder contains anything other than folders and files.
 */
export async function listOfFiles(folder: string, prefix = ""): Promise<string[]> {
  const lines: string[] = [];
  for await (const entry of Deno.readDir(join(folder, prefix))) {
    const path = join(prefix, entry.name);
    if (entry.isDirectory) lines.push(...await listOfFiles(folder, path));
    else if (entry.isFile) {
      const { mode } = await Deno.stat(join(folder, path));
      lines.push(`${path} ${((mode ?? 0) & 0o7777).toString(8)} ${await digestOfFile(join(folder, path))}`);
    } else throw new Error(`Cannot list "${join(folder, path)}" as it is neither a file nor a folder`);
  }
  return lines.toSorted();
}
