/**
 * The identity of Intel's quoting enclave for TDs, version 2: the values that the enclave's report must show.
 *
 * @module
 */
import * as v from "valibot";
import type { Bytes } from "../../../platform/bytes.ts";
import { hexBytes, readInner, readSignedJson, type SignedJson, time, unsigned } from "./intel_json.ts";
import { isvLevels } from "./_tcb_schema.ts";
import type { IsvLevel } from "./tcb_status.ts";

/** The decoded QE identity. */
export interface QeIdentity {
  /** The time at which Intel issued the document. */
  readonly issueDate: Date;
  /** The time at which Intel issues the next one. */
  readonly nextUpdate: Date;
  /** The number of Intel's evaluation, which grows. */
  readonly evaluation: number;
  /** The required MISCSELECT under the mask, 4 bytes in the report's order. */
  readonly miscSelect: Bytes;
  /** The mask of the bits that count, 4 bytes. */
  readonly miscSelectMask: Bytes;
  /** The required ATTRIBUTES under the mask, 16 bytes. */
  readonly attributes: Bytes;
  /** The mask of the bits that count, 16 bytes. */
  readonly attributesMask: Bytes;
  /** MRSIGNER, 32 bytes. */
  readonly mrSigner: Bytes;
  readonly isvProdId: number;
  /** The enclave's levels, best first. */
  readonly levels: readonly IsvLevel[];
}

/** A well-formed document, and the data to verify it. */
export interface QeIdentityDocument extends SignedJson {
  /** The contents. They mean nothing until the signature is verified. */
  readonly qeIdentity: QeIdentity;
}

const WHAT = "QE identity";

const schema: v.GenericSchema<unknown, QeIdentity> = v.pipe(
  v.object({
    id: v.literal("TD_QE"),
    version: v.literal(2),
    issueDate: time,
    nextUpdate: time,
    tcbEvaluationDataNumber: unsigned(0x7fffffff),
    miscselect: hexBytes(4),
    miscselectMask: hexBytes(4),
    attributes: hexBytes(16),
    attributesMask: hexBytes(16),
    mrsigner: hexBytes(32),
    isvprodid: unsigned(0xffff),
    tcbLevels: isvLevels,
  }),
  v.transform((document): QeIdentity => ({
    issueDate: document.issueDate,
    nextUpdate: document.nextUpdate,
    evaluation: document.tcbEvaluationDataNumber,
    miscSelect: document.miscselect,
    miscSelectMask: document.miscselectMask,
    attributes: document.attributes,
    attributesMask: document.attributesMask,
    mrSigner: document.mrsigner,
    isvProdId: document.isvprodid,
    levels: document.tcbLevels,
  })),
);

/**
 * Reads QE identity as Intel's service gives it, `{"enclaveIdentity":…,"signature":…}`. It does not verify the
 * signature.
 *
 * @throws {BootstrapError} `malformed/tdx-collateral`, `malformed/utf8`.
 */
export function readQeIdentity(document: Uint8Array): QeIdentityDocument {
  const signed = readSignedJson(document, "enclaveIdentity", WHAT);
  return { ...signed, qeIdentity: readInner(signed, schema, WHAT) };
}
