/**
 * The run lock: only one process at a time bootstraps a node. The renewal lock: only one at a time renews its
 * certificates.
 *
 * @module
 */
import { join } from "node:path";
import { ensureFolder } from "../platform/files.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { LockFile } from "./file.ts";

/** The name of the run lock's file in the state folder. Every process must lock the same file, so it stays. */
export const RUN_LOCK_FILE = "run.lock";
/** The name of the renewal lock's file in the state folder. Only a reset removes it, when the node is no member any more. */
export const RENEWAL_LOCK_FILE = "renewal.lock";
const MAXIMUM_TRIES = 3;
const TRY_AGAIN_MS = 20;

/**
 * Takes the exclusive flock of the state folder, then removes the temporary files of killed contenders for the node
 * lock. A process that measures or locks holds the run lock from start to end. The operating system releases it when
 * the process dies.
 *
 * @param folder The state folder. It is created if it does not exist.
 * @returns A disposable that releases the lock.
 * @throws {BootstrapError} `conflict/run` if another process holds it, `system/run-lock`, `system/file`.
 */
export async function takeRunLock(folder: string): Promise<Disposable> {
  const path = join(folder, RUN_LOCK_FILE);
  let file = await openLocked(folder, path);
  // A reader of the status may hold it for an instant; see isRunLockHeld().
  for (let tries = 1; file === undefined && tries < MAXIMUM_TRIES; tries++) {
    await systemClock.sleep(TRY_AGAIN_MS);
    file = await openLocked(folder, path);
  }
  if (file === undefined) {
    throw new BootstrapError("conflict/run", `Another bootstrapper is at work on this node: it holds ${path}`, {
      next: "Wait for it to end; `bootstrapper status` shows what it does",
      details: { path },
    });
  }
  try {
    await new LockFile(folder).removeLeftovers();
  } catch (error) {
    release(file);
    throw error;
  }
  return { [Symbol.dispose]: () => release(file) };
}

/**
 * Whether a process works on this node: it holds the run lock. It holds for certain, also after `kill -9`, because the
 * operating system releases a lock when its process ends.
 *
 * @returns `undefined` if it cannot be told, because only root may open the file.
 * @throws {BootstrapError} `system/run-lock`.
 */
export async function isRunLockHeld(folder: string): Promise<boolean | undefined> {
  const path = join(folder, RUN_LOCK_FILE);
  try {
    using file = await Deno.open(path, { read: true });
    if (!await file.tryLock(false)) return true;
    file.unlockSync();
    return false;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    if (cause instanceof Deno.errors.PermissionDenied) return undefined;
    throw new BootstrapError("system/run-lock", `Cannot look at the lock ${path}`, { cause, details: { path } });
  }
}

/**
 * Takes the exclusive flock of renewals in the state folder; as {@linkcode takeRunLock}.
 *
 * @throws {BootstrapError} `conflict/renewal` if another process holds it, `system/run-lock`, `system/file`.
 */
export async function takeRenewalLock(folder: string): Promise<Disposable> {
  const path = join(folder, RENEWAL_LOCK_FILE);
  const file = await openLocked(folder, path);
  if (file !== undefined) return { [Symbol.dispose]: () => release(file) };
  throw new BootstrapError("conflict/renewal", `Another renewal is under way on this node: it holds ${path}`, {
    details: { path },
  });
}

/** Unlocks before closing. A close alone would leave the lock with a child that is being forked at this moment. */
function release(file: Deno.FsFile): void {
  file.unlockSync();
  file.close();
}

/** Returns `undefined` if another process holds the lock. */
async function openLocked(folder: string, path: string): Promise<Deno.FsFile | undefined> {
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
  return undefined;
}
