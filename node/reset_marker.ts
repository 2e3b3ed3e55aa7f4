/**
 * The marker of a reset in progress: while it exists, this node is neither fresh nor a member.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";

/** The facts that a resumed reset needs. */
export interface ResetMarker {
  /** When the reset began, ISO 8601. */
  readonly startedAt: string;
  /**
   * The client URLs of the other members of etcd, `https://host:port`. Once this node has left etcd, it cannot look
   * them up.
   */
  readonly etcdPeers: readonly string[];
}

/** The name of the marker file in the state folder. */
export const RESET_MARKER_FILE = "reset.json";
const MAXIMUM_BYTES = 1 << 14;

const schema = v.strictObject({
  version: v.literal(1),
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  etcdPeers: v.array(v.pipe(v.string(), v.url(), v.startsWith("https://"))),
});

/** Whether a reset of this node has begun and not ended. */
export function isResetUnderWay(stateFolder: string): Promise<boolean> {
  return exists(markerPath(stateFolder));
}

/**
 * Checks that no reset is in progress. Callers that work with the node's state call it first, as a reset may have
 * removed part of that state.
 *
 * @throws {BootstrapError} `precondition/reset-under-way`.
 */
export async function checkNoReset(stateFolder: string): Promise<void> {
  if (!await isResetUnderWay(stateFolder)) return;
  throw new BootstrapError("precondition/reset-under-way", "A reset of this node was begun and has not ended", {
    next: "Run `bootstrapper reset` again: it continues where it was interrupted",
    details: { path: markerPath(stateFolder) },
  });
}

/**
 * Reads the marker; returns `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/reset-marker`, `system/file`.
 */
export async function readResetMarker(stateFolder: string): Promise<ResetMarker | undefined> {
  const path = markerPath(stateFolder);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  if (bytes === undefined) return undefined;
  const { startedAt, etcdPeers } = readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/reset-marker", `Cannot read ${path}: ${reason}`, {
        cause,
        next: `Remove ${path}, and run the reset again`,
        details: { path, key },
      }),
  });
  return { startedAt, etcdPeers };
}

/** Creates or replaces the marker, and syncs it to disk. */
export async function writeResetMarker(stateFolder: string, marker: ResetMarker): Promise<void> {
  const document: v.InferInput<typeof schema> = { version: 1, ...marker, etcdPeers: [...marker.etcdPeers] };
  await writeFileAtomic(markerPath(stateFolder), utf8(`${JSON.stringify(document)}\n`), { mode: 0o644 });
}

/** Removes the marker: the reset has ended. */
export function removeResetMarker(stateFolder: string): Promise<void> {
  return removeIfExists(markerPath(stateFolder));
}

function markerPath(stateFolder: string): string {
  return join(stateFolder, RESET_MARKER_FILE);
}
