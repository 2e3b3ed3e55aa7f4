/**
 * The mark of a reset under way: as long as it is there, this node is neither fresh nor a member.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";

/** What a reset that goes on has to know. */
export interface ResetMarker {
  /** When the reset was begun, ISO 8601. */
  readonly startedAt: string;
  /** Where clients reach the other members of etcd, `https://host:port`: once this node has left, they alone know that. */
  readonly etcdPeers: readonly string[];
}

/** The file of the mark, in the state folder. */
export const RESET_MARKER_FILE = "reset.json";
const MAXIMUM_BYTES = 1 << 14;

const schema = v.strictObject({
  version: v.literal(1),
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  etcdPeers: v.array(v.pipe(v.string(), v.url(), v.startsWith("https://"))),
});

/** Whether a reset of this node was begun and not ended. */
export function isResetUnderWay(stateFolder: string): Promise<boolean> {
  return exists(markerPath(stateFolder));
}

/**
 * Checks that no reset is under way: for whoever would otherwise go on with what is left of the node.
 *
 * @throws {BootstrapError} `precondition/reset-under-way`.
 */
export async function checkNoReset(stateFolder: string): Promise<void> {
  if (!await isResetUnderWay(stateFolder)) return;
  throw new BootstrapError("precondition/reset-under-way", "A reset of this node was begun and has not ended", {
    next: "Run `bootstrapper reset` again: it goes on where it was interrupted",
    details: { path: markerPath(stateFolder) },
  });
}

/**
 * The mark, or `undefined` if there is none.
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
    error: (reason, key, cause) =>
      new BootstrapError("malformed/reset-marker", `Cannot read ${path}: ${reason}`, {
        cause,
        next: `Remove ${path}, and run the reset again`,
        details: { path, key },
      }),
  });
  return { startedAt, etcdPeers };
}

/** Makes the mark, or replaces it, forced to disk. */
export async function writeResetMarker(stateFolder: string, marker: ResetMarker): Promise<void> {
  const document: v.InferInput<typeof schema> = { version: 1, ...marker, etcdPeers: [...marker.etcdPeers] };
  await writeFileAtomic(markerPath(stateFolder), utf8(`${JSON.stringify(document)}\n`), { mode: 0o644 });
}

/** Takes the mark away: the reset has ended. */
export function removeResetMarker(stateFolder: string): Promise<void> {
  return removeIfExists(markerPath(stateFolder));
}

function markerPath(stateFolder: string): string {
  return join(stateFolder, RESET_MARKER_FILE);
}
