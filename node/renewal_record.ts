/**
 * What a node knows about its certificates without their files: until when they are valid, when the node was last
 * attested, why it was refused, and whom it asks for the next ones.
 *
 * Two files of the state folder: `renewal.json`, and `renewal.due`, whose modification time is when the node looks at
 * its certificates next. The unit `bootstrapper-renew.service` looks at that time before it starts the program.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import type { NodeCertificates } from "../kubernetes/kubelet_credentials.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import { commonValidity, nextLook } from "./renewal_times.ts";
import type { StatusRefusal } from "./status.ts";
import { refusalSchema } from "./status.ts";

/** Who issued the certificates: a join service after an attestation, or this control plane with the cluster's CA. */
export const CERTIFICATE_ISSUERS = ["attestation", "own-ca"] as const;

/** When a certificate is valid, ISO 8601. */
export interface RecordedValidity {
  readonly notBefore: string;
  readonly notAfter: string;
}

/** The record of a node's certificates. */
export interface RenewalRecord {
  /** The version of the file's format. */
  readonly version: 1;
  /** The join services of the cluster, `host:port`, as the last ticket named them. */
  readonly joinEndpoints: readonly string[];
  readonly client: RecordedValidity;
  readonly serving: RecordedValidity;
  /** Who issued the certificates. */
  readonly issuedBy: typeof CERTIFICATE_ISSUERS[number];
  /** When the node was last attested, ISO 8601; absent for a control plane that founded its cluster. */
  readonly attested?: string;
  /** The last refusal or failure since the certificates were issued. */
  readonly refusal?: StatusRefusal;
}

const MAXIMUM_BYTES = 1 << 16;
const FILE_MODE = 0o644;

const time = v.pipe(v.string(), v.isoTimestamp("it is no time"));
const validitySchema = v.strictObject({ notBefore: time, notAfter: time });
const recordSchema: v.GenericSchema<unknown, RenewalRecord> = v.strictObject({
  version: v.literal(1),
  joinEndpoints: v.array(v.string()),
  client: validitySchema,
  serving: validitySchema,
  issuedBy: v.picklist(CERTIFICATE_ISSUERS),
  attested: v.exactOptional(time),
  refusal: v.exactOptional(refusalSchema),
});

/**
 * Reads the record of a node; returns `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/renewal-record`, `system/file`.
 */
export async function readRenewalRecord(stateFolder: string): Promise<RenewalRecord | undefined> {
  const path = recordPath(stateFolder);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseRenewalRecord(bytes, path);
}

/** Parses the bytes of a record. `what` names the file in errors; see {@linkcode readRenewalRecord}. */
export function parseRenewalRecord(bytes: Uint8Array, what: string): RenewalRecord {
  return readJson(bytes, {
    schema: recordSchema,
    maximumBytes: MAXIMUM_BYTES,
    newest: 1,
    error: unreadableRecord(what),
  });
}

/** Makes the error of a renewal's record that cannot be read. */
export function unreadableRecord(what: string): (reason: string, key: string, cause?: unknown) => BootstrapError {
  return (reason, key, cause) =>
    new BootstrapError("malformed/renewal-record", `Cannot read ${what}: ${reason}`, {
      cause,
      details: { path: what, key },
    });
}

/** Replaces the record of a node. */
export async function writeRenewalRecord(stateFolder: string, record: RenewalRecord): Promise<void> {
  await writeFileAtomic(recordPath(stateFolder), utf8(`${JSON.stringify(record)}\n`), { mode: FILE_MODE });
}

/** The facts about certificates that were just installed. */
export interface IssuedCertificates {
  readonly certificates: NodeCertificates;
  readonly joinEndpoints: readonly string[];
  readonly issuedBy: RenewalRecord["issuedBy"];
  /** When the node was last attested. */
  readonly attested?: Date;
}

/** From what {@linkcode recordIssuedCertificates} computes the next look. */
export interface NextLookParts {
  readonly now: Date;
  /** From 0 to 1: which nodes look first. */
  readonly random: number;
}

/** Records certificates that were just installed, and when the node looks at them next. */
export async function recordIssuedCertificates(
  stateFolder: string,
  { certificates, joinEndpoints, issuedBy, attested }: IssuedCertificates,
  { now, random }: NextLookParts,
): Promise<RenewalRecord> {
  const { client, serving } = certificates;
  const record: RenewalRecord = {
    version: 1,
    joinEndpoints,
    client: validityOf(client),
    serving: validityOf(serving),
    issuedBy,
    ...(attested === undefined ? {} : { attested: attested.toISOString() }),
  };
  await writeRenewalRecord(stateFolder, record);
  const validity = commonValidity([client, serving]) ?? client;
  await setNextLook(stateFolder, nextLook(validity, now, random));
  return record;
}

/** The files whose modification time says when a unit starts the program next. */
export const DUE_FILES: Readonly<Record<"node" | "controlPlane", string>> = Object.freeze({
  node: "renewal.due",
  controlPlane: "control-plane-renewal.due",
});

/** Sets when the unit starts the program next. */
export async function setNextLook(stateFolder: string, time: Date, file: string = DUE_FILES.node): Promise<void> {
  const path = join(stateFolder, file);
  await writeFileAtomic(path, utf8(`${time.toISOString()}\n`), { mode: FILE_MODE });
  await Deno.utime(path, time, time);
}

/** Whether a record is that of these certificates, by their validity. */
export function isRecordOf(record: RenewalRecord, { client, serving }: NodeCertificates): boolean {
  const expected = { client: validityOf(client), serving: validityOf(serving) };
  return (["client", "serving"] as const).every((usage) =>
    record[usage].notBefore === expected[usage].notBefore && record[usage].notAfter === expected[usage].notAfter
  );
}

function validityOf({ notBefore, notAfter }: NodeCertificates["client"]): RecordedValidity {
  return { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
}

function recordPath(stateFolder: string): string {
  return join(stateFolder, "renewal.json");
}
