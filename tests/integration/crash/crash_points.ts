import * as v from "valibot";
import { INIT_SEQUENCE } from "../../../init/found_cluster.ts";
import { HAND_OVER, INIT_STEPS_BEFORE } from "../../../protocol/init_steps.ts";
import { JOIN_STEPS_BEFORE } from "../../../join/client.ts";
import { CONTROL_PLANE_SEQUENCE } from "../../../join/control_plane_sequence.ts";
import { WORKER_SEQUENCE } from "../../../join/worker_sequence.ts";

/** The ways in which a node becomes a member. */
export const WAYS = ["init", "worker", "control-plane"] as const;
/** A way in which a node becomes a member. */
export type Way = typeof WAYS[number];

/** The steps that the journal must record for each way, taken from the program's own tables. */
export const STEPS: Readonly<Record<Way, readonly string[]>> = Object.freeze({
  "init": [...INIT_STEPS_BEFORE, ...Object.keys(INIT_SEQUENCE), HAND_OVER],
  "worker": [...JOIN_STEPS_BEFORE, ...Object.keys(WORKER_SEQUENCE)],
  "control-plane": [...JOIN_STEPS_BEFORE, ...Object.keys(CONTROL_PLANE_SEQUENCE)],
});

/** The step that takes the lock. Until it is done, a node is fresh. */
export const LOCK_STEPS: Readonly<Record<Way, string>> = Object.freeze({
  "init": "lock",
  "worker": "join-lock",
  "control-plane": "join-lock",
});

/** The last point of every way, which no journal records: the node is recorded as a member. */
export const MEMBERSHIP = "membership";

const harmSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("kill") }),
  v.strictObject({ kind: v.picklist(["full", "read-only"]), folders: v.array(v.string()) }),
]);
const pointSchema = v.strictObject({
  step: v.string(),
  moment: v.picklist(["before", "after"]),
  harm: harmSchema,
});
const harmedRunSchema = v.strictObject({
  config: v.string(),
  tpm: v.exactOptional(v.string()),
  point: v.exactOptional(pointSchema),
  clock: v.exactOptional(v.strictObject({ aheadFile: v.string(), rate: v.number() })),
  heldBefore: v.exactOptional(v.string()),
});

/** A failure: the process is killed, or the file systems of the given folders fail. */
export type Harm = v.InferOutput<typeof harmSchema>;
/** A failure right before or right after the work of a step. */
export type CrashPoint = v.InferOutput<typeof pointSchema>;
/**
 * A run, with the point at which it fails, and with other harm: a clock that is ahead by what a file says, in hours, and
 * whose time between two moments passes faster; a step that waits until {@linkcode GO_FILE} is there.
 */
export type HarmedRun = v.InferOutput<typeof harmedRunSchema>;

/** The file that lets a run go on that is held before a step. */
export const GO_FILE = "/run/go-on";

/** Reads a run from its JSON. */
export function readHarmedRun(text: string): HarmedRun {
  return v.parse(harmedRunSchema, JSON.parse(text));
}

const FILLER = ".filler";

/** A failure of file systems. */
export type DiskHarm = Exclude<Harm, { readonly kind: "kill" }>;

/**
 * The shell commands that cause the failure. A file system cannot be remounted read-only while a file on it is open for
 * writing, so a read-only mount is put over it.
 */
export function harmIn({ kind, folders }: DiskHarm): string {
  return folders.map((folder) =>
    kind === "full"
      ? `dd if=/dev/zero of='${folder}/${FILLER}' bs=4k status=none 2>/dev/null || true`
      : `mount --bind '${folder}' '${folder}'\nmount -o remount,bind,ro '${folder}'`
  ).join("\n");
}

/** The shell commands that repair it. */
export function mendingOf({ kind, folders }: DiskHarm): string {
  return folders.map((folder) => kind === "full" ? `rm -f '${folder}/${FILLER}'` : `umount -l '${folder}'`).join("\n");
}

/** All points at which a way is killed: right before and right after each step, and at the end. */
export function crashPoints(way: Way): CrashPoint[] {
  return [...STEPS[way], MEMBERSHIP].flatMap((step) =>
    (["before", "after"] as const).map((moment): CrashPoint => ({ step, moment, harm: { kind: "kill" } }))
  );
}
