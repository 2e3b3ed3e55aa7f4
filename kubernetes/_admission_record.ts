import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeRole } from "./node_role.ts";
import { NODE_ROLES } from "./node_role.ts";

/** The record of an admitted node. */
export interface AdmissionRecord {
  /** The identity that the node's evidence proved, 64 lower-case hexadecimal digits. It never changes. */
  readonly identity: string;
  /** The Node's name, an RFC 1123 label. It never changes. */
  readonly nodeName: string;
  /** Never changes. */
  readonly role: NodeRole;
  /** SPKI_c of the last admission, base64. */
  readonly nodeKey: string;
  /** The addresses, as claimed by the node. */
  readonly addresses: readonly string[];
  /** The SHA-256 of the evidence of the last admission, lower-case hexadecimal. */
  readonly evidenceDigest: string;
  /** The TPM's reset counter at the last admission, if the node has a TPM. It never decreases. */
  readonly resetCount?: number;
}

const dataSchema = v.object({
  identity: v.string(),
  nodeName: v.string(),
  role: v.picklist(NODE_ROLES),
  nodeKey: v.string(),
  addresses: v.pipe(v.string(), v.parseJson(), v.array(v.string())),
  evidenceDigest: v.string(),
  resetCount: v.optional(v.pipe(v.string(), v.regex(/^\d{1,10}$/))),
});

/** Encodes a record as the data of a ConfigMap. */
export function writeRecord(record: AdmissionRecord): Record<string, string> {
  const { identity, nodeName, role, nodeKey, addresses, evidenceDigest, resetCount } = record;
  return {
    identity,
    nodeName,
    role,
    nodeKey,
    addresses: JSON.stringify(addresses),
    evidenceDigest,
    ...(resetCount === undefined ? {} : { resetCount: String(resetCount) }),
  };
}

/**
 * Reads the record in the data of a ConfigMap.
 *
 * @throws {BootstrapError} `malformed/admission-record`, with the ConfigMap and the field.
 */
export function readRecord(data: Readonly<Record<string, string>>, name: string): AdmissionRecord {
  const result = v.safeParse(dataSchema, data);
  if (!result.success) {
    const field = v.getDotPath(result.issues[0]) ?? "";
    throw new BootstrapError("malformed/admission-record", `Cannot read "${field}" of the ConfigMap ${name}`, {
      details: { configMap: name, field },
    });
  }
  const { resetCount, ...rest } = result.output;
  return {
    ...rest,
    ...(resetCount === undefined ? {} : { resetCount: Number(resetCount) }),
  };
}
