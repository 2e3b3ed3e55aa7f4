/**
 * The public document of a join service's state, and the address for the front beside it.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";

/** The file of the address for the front. */
export const SERVICE_LISTEN_FILE = "listen";
/** The file of everything that is public. */
export const SERVICE_STATE_FILE = "state.json";
/** All may read what is public. */
export const STATE_MODE = 0o644;

const MAXIMUM_STATE_BYTES = 1 << 20;

/** `trust.founding` of the node's configuration. An earlier program would serve without it, so it raises the version. */
export const foundingSchema = v.strictObject({
  size: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(7)),
  policyDigest: v.string(),
  tokenKey: v.string(),
});

/** The document as a whole. */
export const stateSchema = v.strictObject({
  version: v.picklist([1, 2]),
  certificate: v.string(),
  caCertificate: v.string(),
  foundings: v.array(v.strictObject({ operatorKey: v.string(), signature: v.string() })),
  clusterName: v.string(),
  operatorKeys: v.array(v.string()),
  founding: v.exactOptional(foundingSchema),
  tokenFounding: v.exactOptional(v.string()),
  policyDocument: v.string(),
  clusterDocument: v.string(),
  listen: v.string(),
  apiServer: v.string(),
  apiEndpoints: v.pipe(v.array(v.string()), v.minLength(1)),
  joinEndpoints: v.array(v.string()),
});

/** A document that was read. */
export type StateDocument = v.InferOutput<typeof stateSchema>;

/** Writes the address, and then the document, each in one step. */
export async function writeStateDocument(folder: string, document: StateDocument): Promise<void> {
  await writeListen(folder, document.listen);
  const text = JSON.stringify(document, undefined, 2);
  await writeFileAtomic(join(folder, SERVICE_STATE_FILE), utf8(`${text}\n`), { mode: STATE_MODE });
}

/** Writes the address alone. */
export async function writeListen(folder: string, listen: string): Promise<void> {
  await writeFileAtomic(join(folder, SERVICE_LISTEN_FILE), utf8(`${listen}\n`), { mode: STATE_MODE });
}

/**
 * Reads the document as it is now.
 *
 * @throws {BootstrapError} `malformed/service-state` with `key`, `system/file`.
 */
export async function readStateDocument(folder: string): Promise<StateDocument> {
  const path = join(folder, SERVICE_STATE_FILE);
  return parseState(await readFile(path, MAXIMUM_STATE_BYTES), path);
}

function parseState(bytes: Uint8Array, path: string): StateDocument {
  return readJson(bytes, {
    schema: stateSchema,
    maximumBytes: MAXIMUM_STATE_BYTES,
    newest: 2,
    error: (reason, key, cause) => malformed(path, key, reason, cause),
  });
}

function malformed(path: string, key: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError(
    "malformed/service-state",
    `Cannot use the join service's state ${path}: ${reason}`,
    {
      cause,
      next: "Restore the file from a backup, or reset this node and let it join again: a member does not write it anew",
      details: { path, key },
    },
  );
}
