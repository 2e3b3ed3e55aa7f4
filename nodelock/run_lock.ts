/**
 * The run lock: of all processes on a node, one at a time bootstraps it.
 *
 * @module
 */
import { join } from "node:path";
import { ensureFolder } from "../platform/files.ts";
import { BootstrapError } from "../platform/errors.ts";
import { LockFile } from "./file.ts";

/**
 * Takes the exclusive flock of the state folder, which whoever measures or locks holds from first to last; the system
 * frees it when the process dies. Then removes what killed contenders for the node lock left behind.
 *
 * @param folder The state folder; made if there is none.
 * @returns What frees it.
 * @throws {BootstrapError} `conflict/run` if another process holds it, `system/run-lock`, `system/file`.
 */
export async function takeRunLock(folder: string): Promise<Disposable> {
  const path = join(folder, "run.lock");
  const file = await openLocked(folder, path);
  try {
    await new LockFile(folder).removeLeftovers();
  } catch (error) {
    release(file);
    throw error;
  }
  return { [Symbol.dispose]: () => release(file) };
}

/** Closing alone would leave the lock to a child that is being forked at this moment. */
function release(file: Deno.FsFile): void {
  file.unlockSync();
  file.close();
}

async function openLocked(folder: string, path: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile | undefined;
  try {
    await ensureFolder(folder);
    file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
    if (await file.tryLock(true)) return file;
  } catch (cause) {
    file?.close();
    throw new BootstrapError("system/run-lock", `Cannot lock ${path}`, { cause, details: { path } });
  }
  file.close();
  throw new BootstrapError("conflict/run", `Another bootstrapper is at work on this node: it holds ${path}`, {
    next: "Wait for it to end; `bootstrapper status` shows what it does",
    details: { path },
  });
}
