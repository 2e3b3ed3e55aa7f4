/**
 * A software "Intel", whose platforms and documents can lie.
 *
 * @module
 */
import { writePem } from "../../../../certificate/pem.ts";
import { type Certificate, readCertificate } from "../../../../certificate/x509.ts";
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, fromHex, hex, sha256, utf8 } from "../../../../platform/bytes.ts";
import type { TdxCollateral } from "../collateral.ts";
import { SGX_EXTENSION } from "../pck.ts";
import { filled } from "./tdx.ts";
import {
  createKey,
  element,
  mint,
  mintCrl,
  oid,
  rawSignature,
  sgxParts,
  type SoftwareCertificate,
  type SoftwareKey,
} from "./der.ts";

function little(value: number | bigint, octets: number): Bytes {
  return Uint8Array.from({ length: octets }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
}

/** The contents of a software quote. Fields that are left out have their right value. */
export interface QuoteLies {
  /** Version 4, version 5 with a body of TDX 1.0, or version 5 with a body of TDX 1.5. */
  readonly form?: "4" | "5-10" | "5-15";
  /** The header's version. */
  readonly version?: number;
  /** The header's key type. */
  readonly keyType?: number;
  /** The header's TEE type. */
  readonly tee?: number;
  /** The header's QE vendor, 16 bytes. */
  readonly vendor?: Uint8Array;
  /** 16 bytes. */
  readonly teeTcbSvn?: Uint8Array;
  /** 48 bytes. */
  readonly mrSignerSeam?: Uint8Array;
  /** 8 bytes. */
  readonly seamAttributes?: Uint8Array;
  readonly tdAttributes?: bigint;
  readonly xfam?: bigint;
  /** 48 bytes. */
  readonly mrtd?: Uint8Array;
  /** 48 bytes. */
  readonly mrConfigId?: Uint8Array;
  /** Four of 48 bytes. */
  readonly rtmrs?: readonly Uint8Array[];
  /** 64 bytes. */
  readonly reportData?: Uint8Array;
  /** 16 bytes, form 5-15. */
  readonly currentTcbSvn?: Uint8Array;
  /** 48 bytes, form 5-15. */
  readonly mrServiceTd?: Uint8Array;
  /** The key that signs the quote. */
  readonly attestationSigner?: SoftwareKey;
  /** The key that signs the QE's report. */
  readonly qeSigner?: SoftwareKey;
  /** The report data by which the QE vouches for a key, 64 bytes. */
  readonly qeReportData?: Uint8Array;
  /** 4 bytes. */
  readonly miscSelect?: Uint8Array;
  /** 16 bytes. */
  readonly qeAttributes?: Uint8Array;
  /** 32 bytes. */
  readonly qeMrSigner?: Uint8Array;
  /** ISVPRODID. */
  readonly qeProduct?: number;
  /** ISVSVN. */
  readonly qeSvn?: number;
  /** Certificates in the chain, DER. */
  readonly chain?: readonly Uint8Array[];
  /** Bytes after the chain. */
  readonly chainEnd?: Uint8Array;
  /** Bytes after the quote. */
  readonly trailing?: Uint8Array;
}

/** The contents of the software documents. Entries that are left out have their right value. */
export interface CollateralLies {
  /** Entries of TCB info. */
  readonly tcbInfo?: Readonly<Record<string, unknown>>;
  /** Entries of QE identity. */
  readonly qeIdentity?: Readonly<Record<string, unknown>>;
  /** The key that signs both documents. */
  readonly signer?: SoftwareKey;
  /** The issuer chain of both documents, DER. */
  readonly chain?: readonly Uint8Array[];
  /** Serial numbers on the root's list. */
  readonly rootRevoked?: readonly number[];
  /** Serial numbers on the PCK issuer's list. */
  readonly pckRevoked?: readonly number[];
  /** The last second of the PCK issuer's list. */
  readonly pckCrlEnd?: Date;
  /** The first second of both lists. */
  readonly crlStart?: Date;
  /** The key that signs the PCK issuer's list. */
  readonly pckCrlSigner?: SoftwareKey;
  /** The key that signs the root's list. */
  readonly rootCrlSigner?: SoftwareKey;
}

/** A level of a module or QE. */
export function isvLevel(isvsvn: number, tcbStatus: string, advisoryIDs?: readonly string[]): Record<string, unknown> {
  return {
    tcb: { isvsvn },
    tcbDate: "2026-01-01T00:00:00Z",
    tcbStatus,
    ...(advisoryIDs === undefined ? {} : { advisoryIDs }),
  };
}

/** A level of a platform: 2 in every SGX component, 5 in the first of TDX. */
export function platformLevel(tcbStatus: string, pcesvn: number, tdx: readonly number[]): Record<string, unknown> {
  const components = (svns: readonly number[]) => Array.from({ length: 16 }, (_, i) => ({ svn: svns[i] ?? 0 }));
  return {
    tcb: {
      sgxtcbcomponents: components(Array.from(filled(16, 2))),
      pcesvn,
      tdxtcbcomponents: components(tdx),
    },
    tcbDate: "2026-01-01T00:00:00Z",
    tcbStatus,
  };
}

const ZERO_MODULE = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };

/** A TDX module's identity. */
export function moduleIdentity(id: string, levels: readonly unknown[], more: object = {}): Record<string, unknown> {
  return { id, ...ZERO_MODULE, tcbLevels: levels, ...more };
}

const ROOT = "Intel SGX Root CA";
const PCK_ISSUER = "Intel SGX PCK Platform CA";
const TCB_SIGNING = "Intel SGX TCB Signing";
const FMSPC = "b0c06f000000";

/** A software "Intel" with one platform. */
export interface SoftwareIntel {
  readonly anchor: Certificate;
  /** The keys of root, PCK issuer, PCK, TCB signer, attestation. */
  readonly keys: Readonly<Record<"root" | "issuer" | "pck" | "signer" | "attestation", SoftwareKey>>;
  /** Makes one of its certificates with changes, DER. */
  certificate(which: "root" | "issuer" | "pck" | "signer", change?: Partial<SoftwareCertificate>): Bytes;
  /** Makes a quote. */
  quote(lies?: QuoteLies): Promise<Bytes>;
  /** Makes the documents. */
  collateral(lies?: CollateralLies): TdxCollateral;
}

/** Creates a software "Intel" with fresh keys. */
export function createSoftwareIntel(): SoftwareIntel {
  const [root, issuer, pck, signer, attestation] = [
    createKey(),
    createKey(),
    createKey(),
    createKey(),
    createKey(),
  ];
  const platform = { fmspc: FMSPC, components: Array.from(filled(16, 2)), pceSvn: 11 };
  const sgx = element(0x30, oid(SGX_EXTENSION), element(0x04, element(0x30, ...sgxParts(platform))));
  const templates = {
    root: { name: ROOT, issuer: ROOT, key: root, signer: root, serial: 1, isCa: true },
    issuer: { name: PCK_ISSUER, issuer: ROOT, key: issuer, signer: root, serial: 2, isCa: true },
    pck: {
      name: "Intel SGX PCK Certificate",
      issuer: PCK_ISSUER,
      key: pck,
      signer: issuer,
      serial: 3,
      isCa: false,
      extensions: [sgx],
    },
    signer: { name: TCB_SIGNING, issuer: ROOT, key: signer, signer: root, serial: 4, isCa: false },
  } as const;
  const certificate = (which: keyof typeof templates, change: Partial<SoftwareCertificate> = {}) =>
    mint({ ...templates[which], ...change });
  const fixed = {
    root: certificate("root"),
    issuer: certificate("issuer"),
    pck: certificate("pck"),
    signer: certificate("signer"),
  };
  const pem = (chain: readonly Uint8Array[]) => utf8(chain.map((der) => writePem("CERTIFICATE", der)).join(""));

  async function quote(lies: QuoteLies = {}): Promise<Bytes> {
    const signed = concat(headerOf(lies), bodyOf(lies));
    const authData = filled(32, 0x77);
    const vouched = lies.qeReportData ?? concat(await sha256(attestation.point, authData), new Uint8Array(32));
    const qeReport = concat(
      filled(16, 9),
      lies.miscSelect ?? filled(4, 0),
      filled(28, 0),
      lies.qeAttributes ?? fromHex("1500000000000000e700000000000000", "attributes"),
      filled(64, 0x33),
      lies.qeMrSigner ?? filled(32, 0x44),
      filled(96, 0),
      little(lies.qeProduct ?? 2, 2),
      little(lies.qeSvn ?? 6, 2),
      filled(60, 0),
      vouched,
    );
    const chain = concat(pem(lies.chain ?? [fixed.pck, fixed.issuer, fixed.root]), lies.chainEnd ?? new Uint8Array());
    const certification = concat(
      qeReport,
      rawSignature(lies.qeSigner ?? pck, qeReport),
      little(authData.length, 2),
      authData,
      little(5, 2),
      little(chain.length, 4),
      chain,
    );
    const authentication = concat(
      rawSignature(lies.attestationSigner ?? attestation, signed),
      attestation.point,
      little(6, 2),
      little(certification.length, 4),
      certification,
    );
    return concat(signed, little(authentication.length, 4), authentication, lies.trailing ?? new Uint8Array());
  }

  function collateral(lies: CollateralLies = {}): TdxCollateral {
    const chain = pem(lies.chain ?? [fixed.signer, fixed.root]);
    const document = (key: string, object: object) => {
      const inner = JSON.stringify(object);
      return utf8(`{"${key}":${inner},"signature":"${hex(rawSignature(lies.signer ?? signer, utf8(inner)))}"}`);
    };
    return {
      tcbInfo: document("tcbInfo", { ...tcbInfoObject(), ...lies.tcbInfo }),
      tcbInfoChain: chain,
      qeIdentity: document("enclaveIdentity", { ...qeIdentityObject(), ...lies.qeIdentity }),
      qeIdentityChain: chain,
      pckCrl: mintCrl(PCK_ISSUER, lies.pckCrlSigner ?? issuer, lies.pckRevoked ?? [], lies.pckCrlEnd, lies.crlStart),
      rootCrl: mintCrl(ROOT, lies.rootCrlSigner ?? root, lies.rootRevoked ?? [], undefined, lies.crlStart),
    };
  }

  const anchor = readCertificate(fixed.root, "test");
  return { anchor, keys: { root, issuer, pck, signer, attestation }, certificate, quote, collateral };
}

function headerOf(lies: QuoteLies): Bytes {
  return concat(
    little(lies.version ?? Number((lies.form ?? "4").slice(0, 1)), 2),
    little(lies.keyType ?? 2, 2),
    little(lies.tee ?? 0x81, 4),
    filled(4, 0),
    lies.vendor ?? fromHex("939a7233f79c4ca9940a0db3957f0607", "vendor"),
    filled(20, 0x66),
  );
}

function bodyOf(lies: QuoteLies): Bytes {
  const zero = filled(48, 0);
  const body = concat(
    lies.teeTcbSvn ?? fromHex("05010200000000000000000000000000", "svn"),
    filled(48, 0x55),
    lies.mrSignerSeam ?? zero,
    lies.seamAttributes ?? filled(8, 0),
    little(lies.tdAttributes ?? 1n << 28n, 8),
    little(lies.xfam ?? 0x602e7n, 8),
    lies.mrtd ?? filled(48, 0xa0),
    lies.mrConfigId ?? zero,
    zero,
    zero,
    ...(lies.rtmrs ?? [filled(48, 0xb0), filled(48, 0xb1), filled(48, 0xb2), zero]),
    lies.reportData ?? filled(64, 0),
  );
  if (lies.form === "5-10") return concat(little(2, 2), little(body.length, 4), body);
  if (lies.form !== "5-15") return body;
  const current = lies.currentTcbSvn ?? fromHex("05010200000000000000000000000000", "svn");
  const whole = concat(body, current, lies.mrServiceTd ?? zero);
  return concat(little(3, 2), little(whole.length, 4), whole);
}

function tcbInfoObject(): Record<string, unknown> {
  return {
    id: "TDX",
    version: 3,
    issueDate: "2026-04-20T00:00:00Z",
    nextUpdate: "2026-05-10T00:00:00Z",
    fmspc: FMSPC.toUpperCase(),
    pceId: "0000",
    tcbType: 0,
    tcbEvaluationDataNumber: 17,
    tdxModule: ZERO_MODULE,
    tdxModuleIdentities: [
      moduleIdentity("TDX_01", [isvLevel(4, "UpToDate"), isvLevel(2, "OutOfDate", ["INTEL-SA-00001"])]),
    ],
    tcbLevels: [platformLevel("UpToDate", 11, [5, 0, 2]), platformLevel("OutOfDate", 5, [5, 0, 2])],
  };
}

function qeIdentityObject(): Record<string, unknown> {
  return {
    id: "TD_QE",
    version: 2,
    issueDate: "2026-04-20T00:00:00Z",
    nextUpdate: "2026-05-10T00:00:00Z",
    tcbEvaluationDataNumber: 17,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: "44".repeat(32),
    isvprodid: 2,
    tcbLevels: [isvLevel(4, "UpToDate"), isvLevel(2, "OutOfDate")],
  };
}
