import { debianPackages } from "./debian_packages.ts";
import { capture } from "./run.ts";

/** The kernel's parameters for a file that dm-verity protects. */
export interface Verity {
  /** The root hash that fixes the file's content: SHA-256 as 64 lower-case hexadecimal digits. */
  readonly rootHash: string;
  /** The number of content blocks of 4096 bytes; the tree of hashes follows them. */
  readonly blocks: number;
}

const blockBytes = 4096;

/**
 * Appends dm-verity's tree of hashes to a file, without a superblock and without salt, so equal files have equal root
 * hashes.
 *
 * @param file a file whose length is a multiple of 4096 bytes
 * @throws Error when `veritysetup` fails.
 */
export async function appendVerity(file: string): Promise<Verity> {
  await debianPackages(["cryptsetup-bin"]);
  const { size } = await Deno.stat(file);
  if (size % blockBytes !== 0) throw new Error(`Cannot protect "${file}" as it is not of whole blocks`);
  const blocks = size / blockBytes;
  const layout = ["--no-superblock", `--hash-offset=${size}`, `--data-blocks=${blocks}`, "--hash=sha256", "--salt=-"];
  const text = await capture(["veritysetup", "format", ...layout, file, file]);
  const rootHash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(text)?.[1];
  if (rootHash === undefined) throw new Error(`Cannot find the root hash in what veritysetup says:\n${text}`);
  return { rootHash, blocks };
}
