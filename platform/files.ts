/**
 * Files that survive a power cut. A file is written under a temporary name, synced, and renamed or linked to its own
 * name; then its folder is synced.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { copyOf, hex, randomBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { BootstrapError } from "./errors.ts";
import { present } from "./present.ts";

/** Options for writing a file. */
export interface WriteOptions {
  /** Permission bits. Files with secrets have 0o600. */
  readonly mode: number;
}

/** Syncs a folder's entries to disk. */
export async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}

/**
 * Syncs a file that another program wrote, and its entry in the folder, to disk.
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
 * Creates a folder and its missing parents with `mode`, and syncs their entries to disk.
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
 * Replaces a file atomically: readers see either the old or the new bytes, even after a power cut.
 *
 * @throws {BootstrapError} `system/file`, naming the path. The old file is then unchanged.
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

/**
 * Replaces a file atomically by a content that need not fit into memory.
 *
 * @param check Is called with the path of the temporary file when all of it is on disk. If it throws, the old file stays.
 * @throws {BootstrapError} `system/file`, naming the path; what the content or the check throws. The old file is then
 *   unchanged.
 */
export async function writeStreamAtomic(
  path: string,
  content: AsyncIterable<Uint8Array>,
  { mode }: WriteOptions,
  check: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `${temporaryPrefix(path)}${hex(randomBytes(8))}.tmp`);
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode });
      for await (const part of content) {
        for (let written = 0; written < part.length;) written += await file.write(part.subarray(written));
      }
      await Deno.chmod(temporary, mode);
      await file.sync();
    }
    await check(temporary);
    await Deno.rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    throw fileError("write", path, cause);
  }
}

/** A complete file on disk that does not have its final name yet. The caller links or discards it, once. */
export interface StagedFile {
  /**
   * Gives the file its final name if that is free (`link(2)`), and syncs the folder to disk.
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
 * Writes a file under a temporary name in the folder of `path`, and syncs it. A later {@linkcode StagedFile.link} gives
 * it the name `path`.
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
 * Removes the temporary files that killed writers of `path` left behind. The caller must know that no process is
 * writing the file.
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
 * Creates a file atomically if its name is free (`link(2)`).
 *
 * @returns Whether this call created it; `false` if the name was taken.
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function createFileExclusive(path: string, bytes: Uint8Array, options: WriteOptions): Promise<boolean> {
  return await (await stageFile(path, bytes, options)).link();
}

/**
 * Reads a file; returns `undefined` if it does not exist.
 *
 * @throws {BootstrapError} `system/file` if the file cannot be read, `malformed/size` if it is larger than
 *   `maximumBytes`.
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

/** Like {@linkcode readFileIfExists}, for a file that must exist. */
export async function readFile(path: string, maximumBytes: number): Promise<Bytes> {
  const bytes = await readFileIfExists(path, maximumBytes);
  if (bytes === undefined) {
    throw new BootstrapError("system/file", `Cannot read ${path} as there is no such file`, {
      next: "Check the path",
    });
  }
  return bytes;
}

/**
 * Returns the permissions of a file, such as 0o600; `undefined` where the system has none.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function fileMode(path: string): Promise<number | undefined> {
  return attempt("look at", path, async () => {
    const { mode } = await Deno.stat(path);
    return mode === null ? undefined : mode & 0o777;
  });
}

/**
 * Returns the size of a file in bytes.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function fileSize(path: string): Promise<number> {
  return attempt("look at", path, async () => (await Deno.stat(path)).size);
}

/** Whether a file, a folder or anything else exists at a path. Symbolic links are not followed. */
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
 * Renames a folder atomically to a name that must be free, and syncs the change to disk.
 *
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export function renameFolder(path: string, newPath: string): Promise<void> {
  return attempt("rename", path, async () => {
    await Deno.rename(path, newPath);
    await syncFolder(dirname(newPath));
  });
}

/**
 * Removes a file, or a folder with its contents, and syncs the removal to disk. Does nothing if the path does not
 * exist.
 */
export async function removeIfExists(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
    await syncFolder(dirname(path));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw fileError("remove", path, cause);
  }
}

/**
 * Removes the contents of a folder, and syncs the removal to disk. The folder itself stays, because it may belong to
 * the image or be a mount. Does nothing if the folder does not exist.
 *
 * @param kept Paths in the folder that stay.
 * @throws {BootstrapError} `system/file`, naming the path.
 */
export async function emptyFolder(path: string, kept: readonly string[] = []): Promise<void> {
  if (!await exists(path)) return;
  await attempt("empty", path, async () => {
    for (const { name } of await Array.fromAsync(Deno.readDir(path))) {
      if (!kept.includes(join(path, name))) await removeIfExists(join(path, name));
    }
    // Syncs removals by other programs too.
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
  const [plain, next] = plainReason(verb, path, cause) ?? [];
  const message = cause instanceof Error ? cause.message : String(cause);
  return new BootstrapError("system/file", `Cannot ${verb} ${path}${plain ?? `: ${message}`}`, {
    ...present("next", next),
    ...(plain === undefined ? { cause } : {}),
    details: { path },
  });
}

/** Says in our words what the paths that people give are most often: its end of the sentence, and what to do. */
function plainReason(verb: string, path: string, cause: unknown): readonly [reason: string, next: string] | undefined {
  const isWritten = ["write", "create"].includes(verb);
  if (cause instanceof Deno.errors.IsADirectory) {
    return [" as it is a folder", isWritten ? "Name a file, or move the folder away" : "Name a file"];
  }
  if (verb === "make" && cause instanceof Deno.errors.AlreadyExists) {
    return [" as something else than a folder is in its place", "Name another folder, or move away what is there"];
  }
  if (cause instanceof Deno.errors.NotADirectory) {
    return [" as a part of the path is a file and not a folder", "Check the path, or move the file away"];
  }
  if (!(cause instanceof Deno.errors.NotFound)) return undefined;
  // The system's message names the temporary file, which nobody asked for. Someone may also have removed that one.
  if (isWritten) {
    const folder = dirname(path);
    return isThere(folder)
      ? undefined
      : [`: the folder ${folder} does not exist`, "Make the folder, or check the path"];
  }
  return [` as there is no such ${FOLDER_VERBS.includes(verb) ? "folder" : "file"}`, "Check the path"];
}

/** What is done with folders only. */
const FOLDER_VERBS = ["clean up", "empty", "make", "rename"];

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
