/**
 * What a control plane knows about the renewal of its own certificates: which of its Pods still have to start anew, and
 * the latest time that it has seen.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import type { StaticPod } from "../kubernetes/static_pods.ts";
import { utf8 } from "../platform/bytes.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import { unreadableRecord } from "./renewal_record.ts";

/** The record of a control plane's certificates. */
export interface ControlPlaneRenewalRecord {
  /** The version of the file's format. */
  readonly version: 1;
  /** The latest time that a renewal has seen, ISO 8601. A clock that is far behind it is wrong. */
  readonly seen: string;
  /** When the first of the certificates ends, ISO 8601. */
  readonly until: string;
  /** When the certificates were last renewed, ISO 8601; absent if never. */
  readonly renewedAt?: string;
  /** The Pods that still have to start anew with them, in order. */
  readonly pending: readonly StaticPod[];
}

/** The record's file in the state folder. */
export const CONTROL_PLANE_RENEWAL_FILE = "control-plane-renewal.json";
/** The names, without the code that works on their manifests: `bootstrapper status` is to start fast. */
const PODS: Readonly<Record<StaticPod, true>> = {
  etcd: true,
  "kube-apiserver": true,
  "kube-controller-manager": true,
  "kube-scheduler": true,
};
const MAXIMUM_BYTES = 1 << 12;
const PUBLIC = { mode: 0o644 };
const time = v.pipe(v.string(), v.isoTimestamp("it is no time"));

const schema: v.GenericSchema<unknown, ControlPlaneRenewalRecord> = v.strictObject({
  version: v.literal(1),
  seen: time,
  until: time,
  renewedAt: v.exactOptional(time),
  pending: v.array(v.picklist(Object.keys(PODS) as StaticPod[])),
});

/**
 * Reads the record; returns `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/renewal-record`, `system/file`.
 */
export async function readControlPlaneRenewal(stateFolder: string): Promise<ControlPlaneRenewalRecord | undefined> {
  const path = join(stateFolder, CONTROL_PLANE_RENEWAL_FILE);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseControlPlaneRenewal(bytes, path);
}

/** Parses the bytes of a record. `what` names the file in errors; see {@linkcode readControlPlaneRenewal}. */
export function parseControlPlaneRenewal(bytes: Uint8Array, what: string): ControlPlaneRenewalRecord {
  return readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_BYTES,
    newest: 1,
    error: unreadableRecord(what),
  });
}

/** Replaces the record. */
export async function writeControlPlaneRenewal(stateFolder: string, record: ControlPlaneRenewalRecord): Promise<void> {
  await writeFileAtomic(join(stateFolder, CONTROL_PLANE_RENEWAL_FILE), utf8(`${JSON.stringify(record)}\n`), PUBLIC);
}
