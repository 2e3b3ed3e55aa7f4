/**
 * TDX quotes of versions 4 and 5 (Intel TDX DCAP Quoting Library API, A.3 and A.4; Intel SGX ECDSA Quote Library, A.4).
 *
 * @module
 */
import type { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, equalBytes, fromHex, hex } from "../../../platform/bytes.ts";
import { structureError, structureReader } from "./_structure.ts";

/** The TDX module's report on a TD (TDREPORT, as a quote carries it). */
export interface TdReport {
  /** TEE_TCB_SVN, 16 bytes: the module's SVN, its major version, the microcode's SVN, and so on. */
  readonly teeTcbSvn: Bytes;
  /** MRSEAM, 48 bytes: the measurement of the TDX module. */
  readonly mrSeam: Bytes;
  /** MRSIGNERSEAM, 48 bytes: zero for Intel's module. */
  readonly mrSignerSeam: Bytes;
  /** SEAMATTRIBUTES, 8 bytes. */
  readonly seamAttributes: Bytes;
  readonly tdAttributes: bigint;
  readonly xfam: bigint;
  /** MRTD, 48 bytes: the measurement of the TD's initial contents. */
  readonly mrtd: Bytes;
  /** MRCONFIGID, 48 bytes, set by the host. */
  readonly mrConfigId: Bytes;
  /** MROWNER, 48 bytes, set by the host. */
  readonly mrOwner: Bytes;
  /** MROWNERCONFIG, 48 bytes, set by the host. */
  readonly mrOwnerConfig: Bytes;
  /** RTMR 0 to 3, 48 bytes each. */
  readonly rtmrs: readonly [Bytes, Bytes, Bytes, Bytes];
  /** REPORTDATA, 64 bytes. */
  readonly reportData: Bytes;
  /** The current state of module and service TD. Present only for TDX 1.5 in version 5. */
  readonly current?: {
    /** TEE_TCB_SVN_2, 16 bytes. */
    readonly teeTcbSvn: Bytes;
    /** MRSERVICETD, 48 bytes; zero if there is no service TD. */
    readonly mrServiceTd: Bytes;
  };
}

/** The processor's report on the quoting enclave (SGX REPORTBODY). */
export interface QeReport {
  /** The 384 bytes that the PCK signs. */
  readonly bytes: Bytes;
  /** MISCSELECT, 4 bytes in the report's order. */
  readonly miscSelect: Bytes;
  /** ATTRIBUTES, 16 bytes. */
  readonly attributes: Bytes;
  /** MRSIGNER, 32 bytes. */
  readonly mrSigner: Bytes;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** REPORTDATA, 64 bytes. */
  readonly reportData: Bytes;
}

/** A decoded quote. Decoding does not verify it. */
export interface TdxQuote {
  /** The quote, without the bytes after it. */
  readonly bytes: Bytes;
  /** The number of bytes after the quote. They are unsigned and ignored. */
  readonly trailing: number;
  /** The bytes that the attestation key signs: the header, and the body with its descriptor. */
  readonly signed: Bytes;
  readonly version: 4 | 5;
  readonly report: TdReport;
  /** r ‖ s, 64 bytes. */
  readonly signature: Bytes;
  /** The point of the attestation key, x ‖ y, 64 bytes. */
  readonly attestationKey: Bytes;
  /** The report on the quoting enclave. */
  readonly qeReport: QeReport;
  /** The PCK's signature over {@linkcode qeReport}, r ‖ s, 64 bytes. */
  readonly qeReportSignature: Bytes;
  /** The data that the quoting enclave binds together with its attestation key. */
  readonly qeAuthData: Bytes;
  /** The PCK certificate, its issuer and Intel's root, in PEM. */
  readonly pckChain: Bytes;
}

/** The size limit of a quote. A quote has some 5,000 bytes. */
export const MAXIMUM_QUOTE_BYTES = 1 << 14;
/**
 * The largest number of bytes after a quote. 0 to 3,065 bytes follow real quotes: a driver or host returns its whole
 * buffer, with zeros or other bytes. The bound is the largest known number.
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
 * Reads a quote, part by part. It does not verify signatures.
 *
 * @param input The quote, and at most {@linkcode MAXIMUM_TRAILING_BYTES} after it.
 * @throws {BootstrapError} `malformed/tdx-quote`.
 */
export function readQuote(input: Uint8Array): TdxQuote {
  if (input.length > MAXIMUM_QUOTE_BYTES) {
    throw structureError("quote", `it is longer than ${MAXIMUM_QUOTE_BYTES} bytes`);
  }
  const reader = structureReader(input, "quote");
  const version = readHeader(reader.part(HEADER_BYTES, "header"));
  const hasCurrent = version === 5 && readDescriptor(reader);
  const report = readReport(reader.part(hasCurrent ? REPORT_15_BYTES : REPORT_BYTES, "body"), hasCurrent);
  const signed = copyOf(input.subarray(0, reader.offset));
  const authentication = readAuthentication(
    reader.part(reader.u32("length of authentication data"), "authentication data"),
  );
  const trailing = reader.remaining;
  if (trailing > MAXIMUM_TRAILING_BYTES) {
    throw reader.error(`${trailing} bytes follow it, more than ${MAXIMUM_TRAILING_BYTES}`);
  }
  const bytes = copyOf(input.subarray(0, reader.offset));
  return Object.freeze({ bytes, trailing, signed, version, report, ...authentication });
}

function readHeader(header: ByteReader): 4 | 5 {
  const version = header.u16("version");
  if (version !== 4 && version !== 5) throw header.error(`its version is ${version}, not 4 or 5`);
  const keyType = header.u16("attestation key type");
  if (keyType !== ATTESTATION_KEY_TYPE) throw header.error(`its attestation key is of type ${keyType}, not 2`);
  const tee = header.u32("TEE type");
  if (tee !== TEE_TYPE_TDX) throw header.error(`it is of TEE type ${tee.toString(16)}, not 81`);
  header.skip(4, "QE SVN and PCE SVN");
  const vendor = header.bytes(QE_VENDOR.length, "QE vendor");
  if (!equalBytes(vendor, QE_VENDOR)) throw header.error(`its QE is of vendor ${hex(vendor)}`);
  return version;
}

/**
 * Reads the descriptor of a version 5 body. Returns whether the body is that of TDX 1.5, which is longer than that of
 * 1.0.
 */
function readDescriptor(reader: ByteReader): boolean {
  const [type, size] = [reader.u16("body type"), reader.u32("body size")];
  if (type === BODY_TDX_10 && size === REPORT_BYTES) return false;
  if (type === BODY_TDX_15 && size === REPORT_15_BYTES) return true;
  throw reader.error(`its body is of type ${type} and ${size} bytes`);
}

function readReport(body: ByteReader, hasCurrent: boolean): TdReport {
  const measurement = (field: string) => body.bytes(MEASUREMENT_BYTES, field);
  const report = {
    teeTcbSvn: body.bytes(16, "TEE_TCB_SVN"),
    mrSeam: measurement("MRSEAM"),
    mrSignerSeam: measurement("MRSIGNERSEAM"),
    seamAttributes: body.bytes(8, "SEAMATTRIBUTES"),
    tdAttributes: body.u64("TDATTRIBUTES"),
    xfam: body.u64("XFAM"),
    mrtd: measurement("MRTD"),
    mrConfigId: measurement("MRCONFIGID"),
    mrOwner: measurement("MROWNER"),
    mrOwnerConfig: measurement("MROWNERCONFIG"),
    rtmrs: [measurement("RTMR0"), measurement("RTMR1"), measurement("RTMR2"), measurement("RTMR3")] as const,
    reportData: body.bytes(64, "REPORTDATA"),
    ...(hasCurrent
      ? { current: { teeTcbSvn: body.bytes(16, "TEE_TCB_SVN_2"), mrServiceTd: measurement("MRSERVICETD") } }
      : {}),
  };
  body.end();
  return report;
}

type Authentication = Pick<
  TdxQuote,
  "signature" | "attestationKey" | "qeReport" | "qeReportSignature" | "qeAuthData" | "pckChain"
>;

function readAuthentication(reader: ByteReader): Authentication {
  const signature = reader.bytes(64, "signature");
  const attestationKey = reader.bytes(64, "attestation key");
  const certification = readCertification(reader, CERTIFICATION_QE_REPORT);
  const qeReport = readQeReport(certification.part(QE_REPORT_BYTES, "QE report"));
  const qeReportSignature = certification.bytes(64, "QE report's signature");
  const qeAuthData = certification.sized16(MAXIMUM_QUOTE_BYTES, "QE authentication data");
  const chain = readCertification(certification, CERTIFICATION_PCK_CHAIN);
  const pckChain = chain.rest("PCK chain");
  return { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, pckChain };
}

/** Reads certification data of one type. It must be the last part of its container. */
function readCertification(reader: ByteReader, type: number): ByteReader {
  const seen = reader.u16("type of certification data");
  if (seen !== type) throw reader.error(`its certification data is of type ${seen}, not ${type}`);
  const data = reader.part(reader.u32("length of certification data"), "certification data");
  reader.end();
  return data;
}

function readQeReport(reader: ByteReader): QeReport {
  const bytes = reader.at(0).rest("QE report");
  reader.skip(16, "CPUSVN");
  const miscSelect = reader.bytes(4, "MISCSELECT");
  reader.skip(28, "reserved");
  const attributes = reader.bytes(16, "ATTRIBUTES");
  reader.skip(64, "MRENCLAVE and reserved");
  const mrSigner = reader.bytes(32, "MRSIGNER");
  reader.skip(96, "reserved");
  const isvProdId = reader.u16("ISVPRODID");
  const isvSvn = reader.u16("ISVSVN");
  reader.skip(60, "reserved");
  const reportData = reader.bytes(64, "REPORTDATA");
  reader.end();
  return { bytes, miscSelect, attributes, mrSigner, isvProdId, isvSvn, reportData };
}
