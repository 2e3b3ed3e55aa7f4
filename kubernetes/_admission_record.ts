import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { metadataSchema, readFields, type StoredVersion } from "./_api_objects.ts";
import type { NodeRole } from "./node_role.ts";
import { NODE_ROLES } from "./node_role.ts";

/** The record of an admitted node. */
export interface AdmissionRecord {
  /** The identity that the node's evidence proved, 64 lower-case hexadecimal digits. It never changes. */
  readonly identity: string;
  /** The Node's name, an RFC 1123 subdomain. It never changes. */
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
  /** What the evidence of the last admission showed: PCRs, or measurement and TCB, by name. */
  readonly registers?: Readonly<Record<string, string>>;
  /** Which policy judged the evidence: the SHA-256 of its document, hexadecimal. */
  readonly policyDigest?: string;
  /** When the evidence was verified, milliseconds since 1970. */
  readonly attestedMs?: number;
  /**
   * When an operator adopted the node with its cluster, milliseconds since 1970. Such a record holds the node's name and
   * addresses, and its identity is none of a machine, until the machine has proven itself.
   */
  readonly adoptedMs?: number;
  /** The identity of the machine that an adopted node is, as its operator says: it may take the name over. */
  readonly successor?: string;
}

/** A certificate that is about to be signed for a node. */
export interface NodeCertificateRecord {
  readonly usage: "client" | "serving";
  /** Lower-case hexadecimal. */
  readonly serial: string;
  /** The SHA-256 of the TBSCertificate, lower-case hexadecimal. */
  readonly digest: string;
  readonly notAfterMs: number;
  /** The epoch that a client certificate carries. */
  readonly epoch?: number;
}

/** The certificates of an admission. */
export interface AdmissionStatus {
  /** The newest of each usage. */
  readonly client?: CertificateOnRecord;
  readonly serving?: CertificateOnRecord;
  /** The highest epoch of any client certificate: signers learn of a raise one after the other. */
  readonly epoch?: number;
  /** The latest end of any client certificate, milliseconds since 1970. */
  readonly untilMs?: number;
  /** The latest end of any serving certificate. */
  readonly servingUntilMs?: number;
}

/** A certificate of an admission. */
export type CertificateOnRecord = Omit<NodeCertificateRecord, "usage" | "epoch">;

/** A record as it is stored: a NodeAdmission. */
export interface StoredAdmission extends StoredVersion {
  readonly record: AdmissionRecord;
  /** When an operator removed the node; absent while it is not removed. */
  readonly removedMs?: number;
  readonly status: AdmissionStatus;
}

/** The status of an admission with more certificates. Its epoch and the latest ends only grow. */
export function withCertificates(
  status: AdmissionStatus,
  certificates: readonly NodeCertificateRecord[],
): AdmissionStatus {
  let next = status;
  for (const { usage, epoch, ...certificate } of certificates) {
    const latestMs = (beforeMs = 0) => Math.max(beforeMs, certificate.notAfterMs);
    if (usage === "serving") {
      next = { ...next, serving: certificate, servingUntilMs: latestMs(next.servingUntilMs) };
    } else {
      const { epoch: before = 0, ...rest } = next;
      const highest = epoch === undefined ? undefined : Math.max(before, epoch);
      next = { ...rest, client: certificate, ...present("epoch", highest), untilMs: latestMs(next.untilMs) };
    }
  }
  return next;
}

/** Register names in the order in which they tell images apart best: SNP, TDX, unified kernel images, other boots. */
const IMAGE_REGISTERS = ["measurement", "rtmr1", "pcr11", "pcr4"] as const;

/** The value of a register that nothing was measured into. */
const UNUSED = /^(?:0*|f*)$/;

/** Returns the register that best tells a machine's image apart from others; `undefined` if there is none. */
export function imageOf(registers: Readonly<Record<string, string>> = {}): string | undefined {
  return IMAGE_REGISTERS.map((name) => registers[name]).find((value) => value !== undefined && !UNUSED.test(value));
}

const time = v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => Date.parse(text)));
const certificate = v.pipe(
  v.object({ serial: v.string(), digest: v.string(), notAfter: time }),
  v.transform(({ notAfter: notAfterMs, ...rest }) => ({ ...rest, notAfterMs })),
);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const admissionSchema = v.object({
  metadata: metadataSchema,
  spec: v.object({
    identity: v.string(),
    nodeName: v.string(),
    role: v.picklist(NODE_ROLES),
    nodeKey: v.string(),
    addresses: v.array(v.string()),
    evidenceDigest: v.string(),
    resetCount: v.optional(count),
    registers: v.optional(v.record(v.string(), v.string())),
    policyDigest: v.optional(v.string()),
    attestedAt: v.optional(time),
    adoptedAt: v.optional(time),
    successor: v.optional(v.string()),
    removedAt: v.optional(time),
  }),
  status: v.optional(
    v.object({
      client: v.optional(certificate),
      serving: v.optional(certificate),
      epoch: v.optional(count),
      until: v.optional(time),
      servingUntil: v.optional(time),
    }),
    {},
  ),
});

const iso = (ms: number | undefined) => ms === undefined ? undefined : new Date(ms).toISOString();

/** The spec of a NodeAdmission. */
export function admissionSpec(record: AdmissionRecord, removedMs?: number): Record<string, unknown> {
  const { identity, nodeName, role, nodeKey, addresses, evidenceDigest } = record;
  const { resetCount, registers, policyDigest, attestedMs, adoptedMs, successor } = record;
  return {
    ...{ identity, nodeName, role, nodeKey, addresses: [...addresses], evidenceDigest },
    ...present("resetCount", resetCount),
    ...present("registers", registers && sorted(registers)),
    ...present("image", imageOf(registers)),
    ...present("policyDigest", policyDigest),
    ...present("attestedAt", iso(attestedMs)),
    ...present("adoptedAt", iso(adoptedMs)),
    ...present("successor", successor),
    ...present("removedAt", iso(removedMs)),
  };
}

/** As the API server keeps a map, so that what is read back can be compared with what was written. */
function sorted(registers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(registers).sort(([one], [other]) => one < other ? -1 : 1));
}

/** The status of a NodeAdmission. */
export function admissionStatus(status: AdmissionStatus): Record<string, unknown> {
  const of = (one: CertificateOnRecord | undefined) =>
    one && { serial: one.serial, digest: one.digest, notAfter: iso(one.notAfterMs) };
  return {
    ...present("client", of(status.client)),
    ...present("serving", of(status.serving)),
    ...present("epoch", status.epoch),
    ...present("until", iso(status.untilMs)),
    ...present("servingUntil", iso(status.servingUntilMs)),
  };
}

/**
 * Reads a NodeAdmission.
 *
 * @throws {BootstrapError} `malformed/admission-record`, with the record and the field.
 */
export function readAdmission(value: unknown): StoredAdmission {
  const { metadata, spec, status } = readFields(admissionSchema, value, (field) => {
    const name = nameOf(value);
    return new BootstrapError("malformed/admission-record", `Cannot read "${field}" of the NodeAdmission ${name}`, {
      details: { record: name, field },
    });
  }, ({ spec: { identity }, metadata: { name } }) => identity === name ? undefined : "spec.identity");
  const { resetCount, registers, policyDigest, attestedAt, adoptedAt, successor, removedAt, ...rest } = spec;
  return {
    ...metadata,
    record: {
      ...rest,
      ...present("resetCount", resetCount),
      ...present("registers", registers),
      ...present("policyDigest", policyDigest),
      ...present("attestedMs", attestedAt),
      ...present("adoptedMs", adoptedAt),
      ...present("successor", successor),
    },
    ...present("removedMs", removedAt),
    status: {
      ...present("client", status.client),
      ...present("serving", status.serving),
      ...present("epoch", status.epoch),
      ...present("untilMs", status.until),
      ...present("servingUntilMs", status.servingUntil),
    },
  };
}

const namedSchema = v.object({ metadata: v.object({ name: v.string() }) });

function nameOf(value: unknown): string {
  const result = v.safeParse(namedSchema, value);
  return result.success ? result.output.metadata.name : "?";
}
