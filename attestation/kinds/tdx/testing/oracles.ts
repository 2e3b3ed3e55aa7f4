/**
 * Shared by the tests that use quotes of real machines.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readCrl } from "../../../../certificate/crl.ts";
import type { Bytes } from "../../../../platform/bytes.ts";
import { fromHex, fromUtf8, utf8 } from "../../../../platform/bytes.ts";
import type { TdxCollateral } from "../collateral.ts";
import { checkDcap, checkQuoteSignatures, type TcbReport } from "../dcap.ts";
import { readPckChain } from "../intel_chain.ts";
import { intelRoot } from "../intel_root.ts";
import type { PckPlatform } from "../pck.ts";
import { readQeIdentity } from "../qe_identity.ts";
import { readQuote } from "../quote.ts";
import { readTcbInfo } from "../tcb_info.ts";

/** Reads one of the recorded files. */
export type Read = (path: string) => Promise<Bytes>;

/** A quote of an early platform, from 2023. 39 bytes follow it. */
export const QUOTE_OF_2023 = "tdx_prod_quote_SPR_E4.dat";
/** A quote from 2025, with collateral. */
export const QUOTE_OF_2025 = "tdx_quote";
/** A quote with a MRCONFIGID. */
export const QUOTE_WITH_CONFIG_ID = "tdx_quote_6.dat";
/** A time at which the collateral of 2023 is valid. */
export const IN_2023: Date = new Date("2023-07-01T00:00:00Z");
/** A time at which the certificates in all quotes are valid. They are from 2022 to 2025, and valid for seven years. */
export const IN_2026: Date = new Date("2026-01-01T00:00:00Z");

/**
 * Intel's certificate for signing TCB info from 2018 to 2025. The recorded answers of 2023 lack it. Its root is
 * Intel's.
 */
const TCB_SIGNING_2018 = `-----BEGIN CERTIFICATE-----
MIICizCCAjKgAwIBAgIUfjiC1ftVKUpASY5FhAPpFJG99FUwCgYIKoZIzj0EAwIw
aDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENv
cnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJ
BgNVBAYTAlVTMB4XDTE4MDUyMTEwNTAxMFoXDTI1MDUyMTEwNTAxMFowbDEeMBwG
A1UEAwwVSW50ZWwgU0dYIFRDQiBTaWduaW5nMRowGAYDVQQKDBFJbnRlbCBDb3Jw
b3JhdGlvbjEUMBIGA1UEBwwLU2FudGEgQ2xhcmExCzAJBgNVBAgMAkNBMQswCQYD
VQQGEwJVUzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABENFG8xzydWRfK92bmGv
P+mAh91PEyV7Jh6FGJd5ndE9aBH7R3E4A7ubrlh/zN3C4xvpoouGlirMba+W2lju
ypajgbUwgbIwHwYDVR0jBBgwFoAUImUM1lqdNInzg7SVUr9QGzknBqwwUgYDVR0f
BEswSTBHoEWgQ4ZBaHR0cHM6Ly9jZXJ0aWZpY2F0ZXMudHJ1c3RlZHNlcnZpY2Vz
LmludGVsLmNvbS9JbnRlbFNHWFJvb3RDQS5kZXIwHQYDVR0OBBYEFH44gtX7VSlK
QEmORYQD6RSRvfRVMA4GA1UdDwEB/wQEAwIGwDAMBgNVHRMBAf8EAjAAMAoGCCqG
SM49BAMCA0cAMEQCIB9C8wOAN/ImxDtGACV246KcqjagZOR0kyctyBrsGGJVAiAj
ftbrNGsGU8YH211dRiYNoPPu19Zp/ze8JmhujB0oBw==
-----END CERTIFICATE-----
`;

/** The full verdict on a file. */
export function verdict(file: Bytes, collateral: TdxCollateral, now: Date): Promise<TcbReport> {
  const quote = readQuote(file);
  return checkDcap(quote, readPckChain(quote.pckChain), collateral, { anchor: intelRoot(), now });
}

/** The verdict on the parts that a quote carries itself. */
export function signatures(file: Bytes, now: Date): Promise<PckPlatform> {
  const quote = readQuote(file);
  return checkQuoteSignatures(quote, readPckChain(quote.pckChain), { anchor: intelRoot(), now });
}

/** The collateral of 2025 as Intel gives it, converted from the form that another verifier uses. */
export async function collateralOf2025(read: Read): Promise<TdxCollateral> {
  const kept = JSON.parse(fromUtf8(await read("tdx_quote_collateral.json"), "collateral")) as Record<string, string>;
  const text = (key: string) => kept[key] ?? assert.fail(key);
  return {
    tcbInfo: utf8(`{"tcbInfo":${text("tcb_info")},"signature":"${text("tcb_info_signature")}"}`),
    tcbInfoChain: utf8(text("tcb_info_issuer_chain")),
    qeIdentity: utf8(`{"enclaveIdentity":${text("qe_identity")},"signature":"${text("qe_identity_signature")}"}`),
    qeIdentityChain: utf8(text("qe_identity_issuer_chain")),
    pckCrl: fromHex(text("pck_crl"), "PCK CRL"),
    rootCrl: fromHex(text("root_ca_crl"), "root CRL"),
  };
}

/** The collateral of June 2023. */
export async function collateralOf2023(read: Read): Promise<TdxCollateral> {
  const chain = utf8(`${TCB_SIGNING_2018}${(fromUtf8(await read("trusted_root.pem"), "root")).trimEnd()}\n`);
  return {
    tcbInfo: await read("sample_tcbInfo_response"),
    tcbInfoChain: chain,
    qeIdentity: await read("sample_qeIdentity_response"),
    qeIdentityChain: chain,
    pckCrl: await read("pckcrl"),
    rootCrl: await read("rootcrl.der"),
  };
}

/** One second before the first part of the collateral expires. */
export function justBeforeEnd(collateral: TdxCollateral): Date {
  const ends = [
    readTcbInfo(collateral.tcbInfo).tcbInfo.nextUpdate,
    readQeIdentity(collateral.qeIdentity).qeIdentity.nextUpdate,
    readCrl(collateral.pckCrl, "PCK CRL").nextUpdate,
    readCrl(collateral.rootCrl, "root CRL").nextUpdate,
  ];
  return new Date(Math.min(...ends.map((end) => end.getTime())) - 1000);
}
