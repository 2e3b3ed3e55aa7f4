/**
 * What became of `bootstrapper measure` at a boot, for `bootstrapper status`: kubelet, containerd and bootstrapper do
 * not start without it.
 *
 * @module
 */
import { join } from "node:path";
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import type { StatusRefusal } from "./status.ts";
import { refusalSchema } from "./status.ts";

/** How the measurements ended. */
export interface MeasurementRecord {
  /** The version of the file's format. Version 1 had no `bootId`. */
  readonly version: 1 | 2;
  /** When, ISO 8601, by the node's clock. */
  readonly time: string;
  /** How many tries it took, or how many have failed so far. */
  readonly tries: number;
  /** The boot at which this was, as `/proc/sys/kernel/random/boot_id` names it. */
  readonly bootId?: string;
  /** Why it has not been done; absent if it has. */
  readonly error?: StatusRefusal;
}

const VERSION = 2;
const MAXIMUM_BYTES = 1 << 16;
const FILE_MODE = 0o644;

const schema: GenericSchema<unknown, MeasurementRecord> = v.strictObject({
  version: v.picklist([1, VERSION]),
  time: v.pipe(v.string(), v.isoTimestamp("it is no time")),
  tries: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  bootId: v.exactOptional(v.string()),
  error: v.exactOptional(refusalSchema),
});

/**
 * Reads the record; returns `undefined` if nothing was ever measured.
 *
 * @throws {BootstrapError} `malformed/measurement-record`, `system/file`.
 */
export async function readMeasurementRecord(stateFolder: string): Promise<MeasurementRecord | undefined> {
  const path = recordPath(stateFolder);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseMeasurementRecord(bytes, path);
}

/** Parses the bytes of a record; see {@linkcode readMeasurementRecord}. `what` names the file in errors. */
export function parseMeasurementRecord(bytes: Uint8Array, what: string): MeasurementRecord {
  return readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_BYTES,
    newest: VERSION,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/measurement-record", `Cannot read ${what}: ${reason}`, {
        cause,
        details: { path: what, key },
      }),
  });
}

/** Replaces the record. */
export async function writeMeasurementRecord(
  stateFolder: string,
  record: Omit<MeasurementRecord, "version">,
): Promise<void> {
  const document: MeasurementRecord = { version: VERSION, ...record };
  await writeFileAtomic(recordPath(stateFolder), utf8(`${JSON.stringify(document)}\n`), { mode: FILE_MODE });
}

function recordPath(stateFolder: string): string {
  return join(stateFolder, "measured.json");
}
