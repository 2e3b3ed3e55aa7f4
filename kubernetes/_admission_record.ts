import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
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
  /** What the evidence of the last admission showed: PCRs, or TCB and measurement, by name. */
  readonly registers?: Readonly<Record<string, string>>;
  /** Which policy judged it: a short digest of the document. */
  readonly policyNumber?: string;
  /** When the evidence was verified, milliseconds since 1970. */
  readonly attestedMs?: number;
}

const number = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));

const dataSchema = v.object({
  identity: v.string(),
  nodeName: v.string(),
  role: v.picklist(NODE_ROLES),
  nodeKey: v.string(),
  addresses: v.pipe(v.string(), v.parseJson(), v.array(v.string())),
  evidenceDigest: v.string(),
  resetCount: v.optional(v.pipe(v.string(), v.regex(/^\d{1,10}$/), v.transform(Number))),
  registers: v.optional(v.pipe(v.string(), v.parseJson(), v.record(v.string(), v.string()))),
  policyNumber: v.optional(v.string()),
  attestedMs: v.optional(number),
});

/** Encodes a record as the data of a ConfigMap. */
export function writeRecord(record: AdmissionRecord): Record<string, string> {
  const { identity, nodeName, role, nodeKey, addresses, evidenceDigest, resetCount } = record;
  const { registers, policyNumber, attestedMs } = record;
  return {
    identity,
    nodeName,
    role,
    nodeKey,
    addresses: JSON.stringify(addresses),
    evidenceDigest,
    ...present("resetCount", resetCount?.toString()),
    ...present("registers", registers && JSON.stringify(registers)),
    ...present("policyNumber", policyNumber),
    ...present("attestedMs", attestedMs?.toString()),
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
  const { resetCount, registers, policyNumber, attestedMs, ...rest } = result.output;
  return {
    ...rest,
    ...present("resetCount", resetCount),
    ...present("registers", registers),
    ...present("policyNumber", policyNumber),
    ...present("attestedMs", attestedMs),
  };
}
