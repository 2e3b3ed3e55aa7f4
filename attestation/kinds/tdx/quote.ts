/**
 * TDX quotes of versions 4 and 5 (Intel TDX DCAP Quoting Library API, A.3 and A.4; Intel SGX ECDSA Quote Library, A.4).
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, equalBytes, fromHex, hex } from "../../../platform/bytes.ts";
import { LittleEndianReader, structureError } from "./_reader.ts";

/** What the TDX module says of a TD (TDREPORT as a quote carries it). */
export interface TdReport {
  /** TEE_TCB_SVN, 16 bytes: the module's SVN, its major version, the microcode's SVN, and so on. */
  readonly teeTcbSvn: Bytes;
  /** MRSEAM, 48 bytes: the TDX module's measurement. */
  readonly mrSeam: Bytes;
  /** MRSIGNERSEAM, 48 bytes: zero for Intel's. */
  readonly mrSignerSeam: Bytes;
  /** SEAMATTRIBUTES, 8 bytes. */
  readonly seamAttributes: Bytes;
  /** TDATTRIBUTES. */
  readonly tdAttributes: bigint;
  /** XFAM. */
  readonly xfam: bigint;
  /** MRTD, 48 bytes: what was in the TD when it was built. */
  readonly mrtd: Bytes;
  /** MRCONFIGID, 48 bytes, which the host sets. */
  readonly mrConfigId: Bytes;
  /** MROWNER, 48 bytes, which the host sets. */
  readonly mrOwner: Bytes;
  /** MROWNERCONFIG, 48 bytes, which the host sets. */
  readonly mrOwnerConfig: Bytes;
  /** RTMR 0 to 3, 48 bytes each. */
  readonly rtmrs: readonly [Bytes, Bytes, Bytes, Bytes];
  /** REPORTDATA, 64 bytes. */
  readonly reportData: Bytes;
  /** Only TDX 1.5 in version 5: what the module and the service TD are now. */
  readonly current?: {
    /** TEE_TCB_SVN_2, 16 bytes. */
    readonly teeTcbSvn: Bytes;
    /** MRSERVICETD, 48 bytes; zero for none. */
    readonly mrServiceTd: Bytes;
  };
}

/** What the processor says of the quoting enclave (SGX REPORTBODY). */
export interface QeReport {
  /** The 384 bytes that the PCK signs. */
  readonly bytes: Bytes;
  /** MISCSELECT, 4 bytes as they stand. */
  readonly miscSelect: Bytes;
  /** ATTRIBUTES, 16 bytes. */
  readonly attributes: Bytes;
  /** MRSIGNER, 32 bytes. */
  readonly mrSigner: Bytes;
  /** ISVPRODID. */
  readonly isvProdId: number;
  /** ISVSVN. */
  readonly isvSvn: number;
  /** REPORTDATA, 64 bytes. */
  readonly reportData: Bytes;
}

/** A quote. That it could be read says nothing about its truth. */
export interface TdxQuote {
  /** The quote without what follows it. */
  readonly bytes: Bytes;
  /** How many bytes follow it, which nobody signs and nobody reads. */
  readonly trailing: number;
  /** What the attestation key signs: header, and body with its descriptor. */
  readonly signed: Bytes;
  /** 4 or 5. */
  readonly version: 4 | 5;
  /** The TD. */
  readonly report: TdReport;
  /** r ‖ s, 64 bytes. */
  readonly signature: Bytes;
  /** The attestation key's point, x ‖ y, 64 bytes. */
  readonly attestationKey: Bytes;
  /** The quoting enclave. */
  readonly qeReport: QeReport;
  /** The PCK's signature of {@linkcode qeReport}, r ‖ s, 64 bytes. */
  readonly qeReportSignature: Bytes;
  /** What the quoting enclave adds to its attestation key. */
  readonly qeAuthData: Bytes;
  /** PEM: the PCK certificate, its issuer, Intel's root. */
  readonly pckChain: Bytes;
}

/** A quote has some 5,000 bytes. */
export const MAXIMUM_QUOTE_BYTES = 1 << 14;
/**
 * Real quotes are followed by 0 to 3,065 bytes: a driver or host gives its whole buffer, which is zero or not. They are bounded by
 * the most that was seen.
 */
export const MAXIMUM_TRAILING_BYTES = 3065;

const HEADER_BYTES = 48;
const REPORT_BYTES = 584;
const REPORT_15_BYTES = 648;
const QE_REPORT_BYTES = 384;
const MEASUREMENT_BYTES = 48;
/** ECDSA with P-256. */
const ATTESTATION_KEY_TYPE = 2;
const TEE_TYPE_TDX = 0x81;
/** Intel's own quoting enclave. */
const QE_VENDOR = fromHex("939a7233f79c4ca9940a0db3957f0607", "QE vendor");
const BODY_TDX_10 = 2;
const BODY_TDX_15 = 3;
const CERTIFICATION_QE_REPORT = 6;
const CERTIFICATION_PCK_CHAIN = 5;

/**
 * Reads a quote, slice by slice by its lengths. No signature is verified.
 *
 * @param input The quote, and at most {@linkcode MAXIMUM_TRAILING_BYTES} after it.
 * @throws {BootstrapError} `malformed/tdx-quote`.
 */
export function readQuote(input: Uint8Array): TdxQuote {
  if (input.length > MAXIMUM_QUOTE_BYTES) {
    throw structureError("quote", `it is longer than ${MAXIMUM_QUOTE_BYTES} bytes`);
  }
  const reader = new LittleEndianReader(input, "quote");
  const version = readHeader(reader.part(HEADER_BYTES));
  const hasCurrent = version === 5 && readDescriptor(reader);
  const report = readReport(reader.part(hasCurrent ? REPORT_15_BYTES : REPORT_BYTES), hasCurrent);
  const signed = copyOf(input.subarray(0, reader.offset));
  const authentication = readAuthentication(reader.part(reader.u32()));
  const trailing = reader.remaining;
  if (trailing > MAXIMUM_TRAILING_BYTES) {
    throw structureError("quote", `${trailing} bytes follow it, more than ${MAXIMUM_TRAILING_BYTES}`);
  }
  const bytes = copyOf(input.subarray(0, reader.offset));
  return Object.freeze({ bytes, trailing, signed, version, report, ...authentication });
}

function readHeader(header: LittleEndianReader): 4 | 5 {
  const version = header.u16();
  if (version !== 4 && version !== 5) throw structureError("quote", `its version is ${version}, not 4 or 5`);
  const keyType = header.u16();
  if (keyType !== ATTESTATION_KEY_TYPE) {
    throw structureError("quote", `its attestation key is of type ${keyType}, not 2`);
  }
  const tee = header.u32();
  if (tee !== TEE_TYPE_TDX) throw structureError("quote", `it is of TEE type ${tee.toString(16)}, not 81`);
  header.bytes(4);
  const vendor = header.bytes(QE_VENDOR.length);
  if (!equalBytes(vendor, QE_VENDOR)) throw structureError("quote", `its QE is of vendor ${hex(vendor)}`);
  return version;
}

/** The body's descriptor in version 5. Whether the body is that of TDX 1.5, longer than that of 1.0. */
function readDescriptor(reader: LittleEndianReader): boolean {
  const [type, size] = [reader.u16(), reader.u32()];
  if (type === BODY_TDX_10 && size === REPORT_BYTES) return false;
  if (type === BODY_TDX_15 && size === REPORT_15_BYTES) return true;
  throw structureError("quote", `its body is of type ${type} and ${size} bytes`);
}

function readReport(body: LittleEndianReader, hasCurrent: boolean): TdReport {
  const measurement = () => body.bytes(MEASUREMENT_BYTES);
  const report = {
    teeTcbSvn: body.bytes(16),
    mrSeam: measurement(),
    mrSignerSeam: measurement(),
    seamAttributes: body.bytes(8),
    tdAttributes: body.u64(),
    xfam: body.u64(),
    mrtd: measurement(),
    mrConfigId: measurement(),
    mrOwner: measurement(),
    mrOwnerConfig: measurement(),
    rtmrs: [measurement(), measurement(), measurement(), measurement()] as const,
    reportData: body.bytes(64),
    ...(hasCurrent ? { current: { teeTcbSvn: body.bytes(16), mrServiceTd: measurement() } } : {}),
  };
  body.end();
  return report;
}

type Authentication = Pick<
  TdxQuote,
  "signature" | "attestationKey" | "qeReport" | "qeReportSignature" | "qeAuthData" | "pckChain"
>;

function readAuthentication(reader: LittleEndianReader): Authentication {
  const signature = reader.bytes(64);
  const attestationKey = reader.bytes(64);
  const certification = readCertification(reader, CERTIFICATION_QE_REPORT);
  const qeReport = readQeReport(certification.bytes(QE_REPORT_BYTES));
  const qeReportSignature = certification.bytes(64);
  const qeAuthData = certification.bytes(certification.u16());
  const chain = readCertification(certification, CERTIFICATION_PCK_CHAIN);
  const pckChain = chain.bytes(chain.remaining);
  return { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, pckChain };
}

/** Certification data of one type, which is the last thing where it stands. */
function readCertification(reader: LittleEndianReader, type: number): LittleEndianReader {
  const seen = reader.u16();
  if (seen !== type) throw structureError("quote", `its certification data is of type ${seen}, not ${type}`);
  const data = reader.part(reader.u32());
  reader.end();
  return data;
}

function readQeReport(bytes: Bytes): QeReport {
  const reader = new LittleEndianReader(bytes, "quote");
  reader.bytes(16);
  const miscSelect = reader.bytes(4);
  reader.bytes(28);
  const attributes = reader.bytes(16);
  reader.bytes(64);
  const mrSigner = reader.bytes(32);
  reader.bytes(96);
  const isvProdId = reader.u16();
  const isvSvn = reader.u16();
  reader.bytes(60);
  const reportData = reader.bytes(64);
  reader.end();
  return { bytes, miscSelect, attributes, mrSigner, isvProdId, isvSvn, reportData };
}
