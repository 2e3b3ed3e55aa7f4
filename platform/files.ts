/**
 * Files that survive a power cut: written beside their name, synced, renamed or linked, the folder synced.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { copyOf, hex, randomBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";

/** How a file is written. */
export interface WriteOptions {
  /** Permission bits. Files with secrets are 0o600. */
  readonly mode: number;
}

/** Forces a folder's entries to disk. */
export async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}

/**
 * Forces a file that somebody else wrote to disk, and its entry in its folder.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function syncFile(path: string): Promise<void> {
  return attempt("sync", path, async () => {
    using file = await Deno.open(path, { read: true });
    await file.sync();
    await syncFolder(dirname(path));
  });
}

/**
 * Makes a folder and its parents, with `mode` for those that it makes, and forces the entries to disk.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function ensureFolder(path: string, mode = 0o755): Promise<void> {
  const parent = dirname(path);
  if (parent !== path && !await exists(parent)) await ensureFolder(parent, mode);
  await attempt("make", path, async () => {
    await Deno.mkdir(path, { recursive: true, mode });
    await syncFolder(parent);
  });
}

function temporaryPrefix(path: string): string {
  return `.${basename(path)}.`;
}

const TEMPORARY_SUFFIX = /^[0-9a-f]{16}\.tmp$/;

async function writeTemporary(path: string, bytes: Uint8Array, mode: number): Promise<string> {
  const temporary = join(dirname(path), `${temporaryPrefix(path)}${hex(randomBytes(8))}.tmp`);
  using file = await Deno.open(temporary, { write: true, createNew: true, mode });
  try {
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await Deno.chmod(temporary, mode);
    await file.sync();
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  return temporary;
}

/**
 * Replaces a file as one step: readers see the old bytes or the new ones, also after a power cut.
 *
 * @throws {BootstrapError} `system/file`, naming the path; the old file is untouched then.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array, options: WriteOptions): Promise<void> {
  try {
    const temporary = await writeTemporary(path, bytes, options.mode);
    try {
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
    await syncFolder(dirname(path));
  } catch (cause) {
    throw fileError("write", path, cause);
  }
}

/** A file that is on disk, whole, and only lacks its name. It is linked or discarded, once. */
export interface StagedFile {
  /**
   * Gives the file its name, only if that is free (`link(2)`), and forces the folder to disk.
   *
   * @returns Whether this call created it; `false` if the name was taken.
   * @throws {BootstrapError} `system/file`, naming the path.
   */
  link(): Promise<boolean>;
  /**
   * Removes the file.
   *
   * @throws {BootstrapError} `system/file`, naming the path.
   */
  discard(): Promise<void>;
}

/**
 * Writes a file under a temporary name in the folder of `path`, synced, to be created by a later {@linkcode StagedFile.link}.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function stageFile(path: string, bytes: Uint8Array, options: WriteOptions): Promise<StagedFile> {
  const temporary = await attempt("create", path, () => writeTemporary(path, bytes, options.mode));
  return {
    link: () =>
      attempt("create", path, async () => {
        try {
          await Deno.link(temporary, path);
        } catch (error) {
          if (error instanceof Deno.errors.AlreadyExists) return false;
          throw error;
        } finally {
          await Deno.remove(temporary);
        }
        await syncFolder(dirname(path));
        return true;
      }),
    discard: () => attempt("remove", temporary, () => Deno.remove(temporary)),
  };
}

/**
 * Removes what killed writers of `path` left behind under temporary names. Only for a caller who knows that nobody is
 * writing that file.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function removeTemporaries(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = temporaryPrefix(path);
  return attempt("clean up", folder, async () => {
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.startsWith(prefix) || !TEMPORARY_SUFFIX.test(name.slice(prefix.length))) continue;
      await Deno.remove(join(folder, name));
    }
  });
}

/**
 * Creates a file as one step, only if its name is free (`link(2)`).
 *
 * @returns Whether this call created it; `false` if the name was taken.
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function createFileExclusive(path: string, bytes: Uint8Array, options: WriteOptions): Promise<boolean> {
  return await (await stageFile(path, bytes, options)).link();
}

/**
 * The bytes of a file, or `undefined` if there is none.
 *
 * @throws {BootstrapError} `system/file` if it cannot be read, `malformed/size` if it is larger than `maximumBytes`.
 */
export async function readFileIfExists(path: string, maximumBytes: number): Promise<Bytes | undefined> {
  try {
    using file = await Deno.open(path, { read: true });
    const buffer = new Uint8Array(maximumBytes + 1);
    let length = 0;
    for (;;) {
      const read = await file.read(buffer.subarray(length));
      if (read === null || read === 0) break;
      length += read;
    }
    if (length > maximumBytes) {
      throw new BootstrapError("malformed/size", `Cannot read ${path} as it is larger than ${maximumBytes} bytes`);
    }
    return copyOf(buffer.subarray(0, length));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw fileError("read", path, cause);
  }
}

/** {@linkcode readFileIfExists} for a file that must be there. */
export async function readFile(path: string, maximumBytes: number): Promise<Bytes> {
  const bytes = await readFileIfExists(path, maximumBytes);
  if (bytes === undefined) throw new BootstrapError("system/file", `Cannot read ${path} as there is no such file`);
  return bytes;
}

/**
 * The size of a file in bytes.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function fileSize(path: string): Promise<number> {
  return attempt("look at", path, async () => (await Deno.stat(path)).size);
}

/** Whether a path names anything. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw fileError("look at", path, cause);
  }
}

/**
 * Gives a folder another name, which must be free, as one step that is forced to disk.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function renameFolder(path: string, newPath: string): Promise<void> {
  return attempt("rename", path, async () => {
    await Deno.rename(path, newPath);
    await syncFolder(dirname(newPath));
  });
}

/** Removes a file or a folder with all that is in it, and forces that to disk; nothing there is fine. */
export async function removeIfExists(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
    await syncFolder(dirname(path));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw fileError("remove", path, cause);
  }
}

/**
 * Removes what is in a folder, and forces that to disk; the folder itself stays, as it may be the image's, or a mount. No folder
 * is fine.
 *
 * @param kept Paths in it that stay.
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function emptyFolder(path: string, kept: readonly string[] = []): Promise<void> {
  if (!await exists(path)) return;
  await attempt("empty", path, async () => {
    for (const { name } of await Array.fromAsync(Deno.readDir(path))) {
      if (!kept.includes(join(path, name))) await removeIfExists(join(path, name));
    }
    // Also what somebody else has removed.
    await syncFolder(path);
  });
}

async function attempt<T>(verb: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw fileError(verb, path, cause);
  }
}

function fileError(verb: string, path: string, cause: unknown): BootstrapError {
  if (cause instanceof BootstrapError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BootstrapError("system/file", `Cannot ${verb} ${path}: ${reason}`, { cause, details: { path } });
}
