/**
 * Evidence files: the evidence of one machine, for explaining, verifying or making policies on another machine.
 *
 * ```json
 * {
 *   "kind": "bootstrapper evidence",
 *   "version": 1,
 *   "nonce": "… 32 bytes, base64 …",
 *   "evidence": [{ "variant": "tpm", "payload": "… base64 …" }],
 *   "eventLog": "… binary_bios_measurements, base64; left out where the firmware keeps none …",
 *   "ccEventLog": "… the ACPI table's CCEL area, base64; left out where there is none …"
 * }
 * ```
 *
 * The file does not contain the statement that its evidence is over. The statement is always `fileStatement(nonce)`, so
 * evidence from a connection is invalid in a file, and evidence from a file is invalid on a connection.
 *
 * @module
 */
import * as v from "valibot";
import type { Bytes } from "../platform/bytes.ts";
import { base64, fromBase64, randomBytes, utf8 } from "../platform/bytes.ts";
import { EVIDENCE_FILE_KIND } from "../platform/document_kinds.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { present } from "../platform/present.ts";
import { MAXIMUM_LOG_BYTES } from "./eventlog/event_log.ts";
import type { Evidence, EvidenceIssuer } from "./evidence.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import { fileStatement } from "../protocol/transcript.ts";

/** The contents of an evidence file. */
export interface EvidenceFile {
  /** A random value from the machine, 32 bytes. The statement is derived from it. */
  readonly nonce: Bytes;
  /** Evidence of each of the machine's kinds, each kind once. */
  readonly evidence: readonly Evidence[];
  /** The firmware's event log as it was read. It is not signed. */
  readonly eventLog?: Bytes;
  /** The log of a confidential VM's registers (CCEL) as it was read. It is not signed. */
  readonly ccEventLog?: Bytes;
}

/** The largest accepted file, in bytes. It has room for evidence of two kinds and the largest event log, in base64. */
export const MAXIMUM_EVIDENCE_FILE_BYTES: number = 12 << 20;

const VERSION = 1;
const MAXIMUM_PAYLOAD_BYTES = 256 * 1024;
const MAXIMUM_KINDS = 4;
/** The largest accepted CCEL. Firmware reserves 64 KiB. */
export const MAXIMUM_CC_LOG_BYTES: number = 512 << 10;

const bytes = (maximum: number) =>
  v.pipe(
    v.string(),
    v.maxLength(Math.ceil(maximum / 3) * 4, `must be at most ${maximum} bytes`),
    v.rawTransform<string, Bytes>(({ dataset, addIssue, NEVER }) => {
      try {
        return fromBase64(dataset.value, "the value");
      } catch (error) {
        addIssue({ message: asBootstrapError(error).message });
        return NEVER;
      }
    }),
  );

const schema = v.strictObject({
  kind: v.literal(EVIDENCE_FILE_KIND),
  version: v.literal(VERSION),
  nonce: v.pipe(bytes(NONCE_BYTES), v.check((nonce) => nonce.length === NONCE_BYTES, `must be ${NONCE_BYTES} bytes`)),
  evidence: v.pipe(
    v.array(v.strictObject({
      variant: v.pipe(v.string(), v.regex(/^[a-z]{2,16}$/, "must be a kind of evidence")),
      payload: bytes(MAXIMUM_PAYLOAD_BYTES),
    })),
    v.minLength(1, "must not be empty"),
    v.maxLength(MAXIMUM_KINDS),
    v.check((list) => new Set(list.map(({ variant }) => variant)).size === list.length, "has a variant twice"),
  ),
  eventLog: v.optional(bytes(MAXIMUM_LOG_BYTES)),
  ccEventLog: v.optional(bytes(MAXIMUM_CC_LOG_BYTES)),
});

/**
 * Issues evidence for a file, over a new random nonce.
 *
 * @param issuers Issuers of this machine's kinds of evidence.
 * @param eventLog The firmware's event log, if there is one.
 * @param ccEventLog The log of a confidential VM's registers, if there is one.
 * @throws {BootstrapError} The errors of the issuers.
 */
export async function issueEvidenceFile(
  issuers: readonly Pick<EvidenceIssuer, "issue">[],
  eventLog?: Bytes,
  ccEventLog?: Bytes,
): Promise<EvidenceFile> {
  const nonce = randomBytes(NONCE_BYTES);
  const statement = await fileStatement(nonce);
  const evidence: Evidence[] = [];
  for (const issuer of issuers) evidence.push(await issuer.issue(statement));
  return { nonce, evidence, ...present("eventLog", eventLog), ...present("ccEventLog", ccEventLog) };
}

/** Encodes an evidence file as UTF-8. */
export function writeEvidenceFile({ nonce, evidence, eventLog, ccEventLog }: EvidenceFile): Bytes {
  const document = {
    kind: EVIDENCE_FILE_KIND,
    version: VERSION,
    nonce: base64(nonce),
    evidence: evidence.map(({ variant, payload }) => ({ variant, payload: base64(payload) })),
    ...(eventLog === undefined ? {} : { eventLog: base64(eventLog) }),
    ...(ccEventLog === undefined ? {} : { ccEventLog: base64(ccEventLog) }),
  };
  return utf8(`${JSON.stringify(document, undefined, 2)}\n`);
}

/**
 * Reads an evidence file. It checks the file's form, but not the contents of the evidence and of the event log.
 *
 * @param file The file's bytes.
 * @param what The file's name in errors, such as its path.
 * @throws {BootstrapError} `malformed/evidence-file`, naming the field that is wrong.
 */
export function readEvidenceFile(file: Uint8Array, what: string): EvidenceFile {
  const { nonce, evidence, eventLog, ccEventLog } = readJson(file, {
    schema,
    maximumBytes: MAXIMUM_EVIDENCE_FILE_BYTES,
    newest: VERSION,
    error: (reason, field) => unreadable(what, field, reason),
  });
  return { nonce, evidence, ...present("eventLog", eventLog), ...present("ccEventLog", ccEventLog) };
}

function unreadable(what: string, field: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/evidence-file", `Cannot read ${what} as evidence: ${reason}`, {
    next: "Make the file with `bootstrapper evidence --out FILE` of this version, on the machine",
    details: { document: what, field },
  });
}
