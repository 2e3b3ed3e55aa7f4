/**
 * TDX TCB info, version 3: the TCB levels of the platforms with one FMSPC, and Intel's verdict on each level.
 *
 * @module
 */
import * as v from "valibot";
import type { Bytes } from "../../../platform/bytes.ts";
import { hex } from "../../../platform/bytes.ts";
import { hexBytes, readInner, readSignedJson, type SignedJson, time, unsigned } from "./intel_json.ts";
import { isvLevels, levelEntries } from "./_tcb_schema.ts";
import type { IsvLevel, TcbVerdict } from "./tcb_status.ts";

/** The values that a TDX module must show. */
export interface ModuleIdentity {
  /** MRSIGNERSEAM, 48 bytes. */
  readonly mrSigner: Bytes;
  /** The required SEAMATTRIBUTES under the mask, 8 bytes. */
  readonly attributes: Bytes;
  /** The mask of the bits that count, 8 bytes. */
  readonly attributesMask: Bytes;
}

/** The TDX module of one major version. */
export interface VersionedModule extends ModuleIdentity {
  /** `TDX_01` for version 1, and so on. */
  readonly id: string;
  /** The module's levels, best first. */
  readonly levels: readonly IsvLevel[];
}

/** One level of a platform. */
export interface PlatformLevel extends TcbVerdict {
  /** The lowest SVNs of the 16 components in the PCK certificate. */
  readonly sgx: readonly number[];
  /** The lowest ISVSVN of the PCE. */
  readonly pceSvn: number;
  /** The lowest SVNs of the 16 components in TEE_TCB_SVN. */
  readonly tdx: readonly number[];
}

/** The decoded TCB info. */
export interface TcbInfo {
  /** The time at which Intel issued the document. */
  readonly issueDate: Date;
  /** The time at which Intel issues the next one. */
  readonly nextUpdate: Date;
  /** 12 hexadecimal digits, lower case. */
  readonly fmspc: string;
  /** 4 hexadecimal digits, lower case. */
  readonly pceId: string;
  /** The number of Intel's evaluation, which grows. */
  readonly evaluation: number;
  /** The module of major version 0. */
  readonly module: ModuleIdentity;
  /** The modules of later versions. */
  readonly modules: readonly VersionedModule[];
  /** The platform's levels, best first. */
  readonly levels: readonly PlatformLevel[];
}

/** A well-formed document, and the data to verify it. */
export interface TcbInfoDocument extends SignedJson {
  /** The contents. They mean nothing until the signature is verified. */
  readonly tcbInfo: TcbInfo;
}

const WHAT = "TCB info";
const MAXIMUM_EVALUATION = 0x7fffffff;
const COMPONENTS = 16;

const module = { mrsigner: hexBytes(48), attributes: hexBytes(8), attributesMask: hexBytes(8) } as const;

const components = v.pipe(
  v.array(v.pipe(
    v.object({ svn: unsigned(0xff), category: v.optional(v.string()), type: v.optional(v.string()) }),
    v.transform(({ svn }) => svn),
  )),
  v.length(COMPONENTS, `must be ${COMPONENTS} components`),
);

const versionedModule = v.pipe(
  v.object({ id: v.pipe(v.string(), v.regex(/^TDX_[0-9A-F]{2}$/)), ...module, tcbLevels: isvLevels }),
  v.transform(({ id, mrsigner, attributes, attributesMask, tcbLevels }): VersionedModule => ({
    id,
    mrSigner: mrsigner,
    attributes,
    attributesMask,
    levels: tcbLevels,
  })),
);

const platformLevel = v.pipe(
  v.object({
    tcb: v.object({ sgxtcbcomponents: components, pcesvn: unsigned(0xffff), tdxtcbcomponents: components }),
    ...levelEntries,
  }),
  v.transform(({ tcb, tcbStatus, advisoryIDs }): PlatformLevel => ({
    sgx: tcb.sgxtcbcomponents,
    pceSvn: tcb.pcesvn,
    tdx: tcb.tdxtcbcomponents,
    status: tcbStatus,
    advisoryIds: advisoryIDs,
  })),
);

const schema: v.GenericSchema<unknown, TcbInfo> = v.pipe(
  v.object({
    id: v.literal("TDX"),
    version: v.literal(3),
    issueDate: time,
    nextUpdate: time,
    fmspc: hexBytes(6),
    pceId: hexBytes(2),
    tcbType: v.literal(0),
    tcbEvaluationDataNumber: unsigned(MAXIMUM_EVALUATION),
    tdxModule: v.object(module),
    tdxModuleIdentities: v.pipe(
      v.optional(v.array(versionedModule), []),
      v.check((modules) => new Set(modules.map(({ id }) => id)).size === modules.length, "must name each module once"),
    ),
    tcbLevels: v.pipe(v.array(platformLevel), v.minLength(1)),
  }),
  v.transform((document): TcbInfo => {
    const { mrsigner, attributes, attributesMask } = document.tdxModule;
    return {
      issueDate: document.issueDate,
      nextUpdate: document.nextUpdate,
      fmspc: hex(document.fmspc),
      pceId: hex(document.pceId),
      evaluation: document.tcbEvaluationDataNumber,
      module: { mrSigner: mrsigner, attributes, attributesMask },
      modules: document.tdxModuleIdentities,
      levels: document.tcbLevels,
    };
  }),
);

/**
 * Reads TCB info as Intel's service gives it, `{"tcbInfo":…,"signature":…}`. It does not verify the signature.
 *
 * @throws {BootstrapError} `malformed/tdx-collateral`, `malformed/utf8`.
 */
export function readTcbInfo(document: Uint8Array): TcbInfoDocument {
  const signed = readSignedJson(document, "tcbInfo", WHAT);
  return { ...signed, tcbInfo: readInner(signed, schema, WHAT) };
}
