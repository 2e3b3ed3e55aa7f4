/**
 * Founding files: an operator's founding of a cluster that stands already, on its way to the cluster's control planes.
 *
 * ```json
 * {
 *   "kind": "bootstrapper founding",
 *   "version": 1,
 *   "clusterName": "demo",
 *   "clusterId": "sha256:…",
 *   "operatorKey": "ssh-ed25519 …",
 *   "signature": "… 64 bytes, base64 …"
 * }
 * ```
 *
 * Nothing in the file is secret, and it proves itself.
 *
 * @module
 */
import * as v from "valibot";
import { clusterIdText, readClusterId } from "../certificate/cluster_id.ts";
import { operatorKeyLine, readOperatorKey } from "../certificate/operator_key.ts";
import { base64, fromBase64 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";

/** The largest accepted file, bytes. */
export const MAXIMUM_FOUNDING_FILE_BYTES = 4096;

const KIND = "bootstrapper founding";
const schema = v.strictObject({
  kind: v.literal(KIND),
  version: v.literal(1),
  clusterName: v.string(),
  clusterId: v.string(),
  operatorKey: v.string(),
  signature: v.string(),
});

/** Writes a founding as a file's text. */
export function foundingFileText({ clusterName, clusterId, operatorKey, signature }: Founding): string {
  const file: v.InferInput<typeof schema> = {
    kind: KIND,
    version: 1,
    clusterName,
    clusterId: clusterIdText(clusterId),
    operatorKey: operatorKeyLine(operatorKey),
    signature: base64(signature),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * Reads a founding file. Whether its founding counts is checked by `checkFounding()`.
 *
 * @param what The path of the file, for errors.
 * @throws {BootstrapError} `malformed/founding-file`, and `malformed/…` of its fields.
 */
export function readFoundingFile(bytes: Uint8Array, what: string): Founding {
  const { clusterName, clusterId, operatorKey, signature } = readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_FOUNDING_FILE_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/founding-file", `Cannot use ${what} as a founding file: ${reason}`, {
        cause,
        next: "Make the file with `bootstrapper node founding sign`",
        details: { path: what, key },
      }),
  });
  return {
    clusterName,
    clusterId: readClusterId(clusterId, `${what}: clusterId`),
    operatorKey: readOperatorKey(operatorKey, `${what}: operatorKey`),
    signature: fromBase64(signature, `${what}: signature`),
  };
}
