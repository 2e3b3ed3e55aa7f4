/**
 * Verifies a TD's report: the chain from its quote up to Intel's root, and Intel's current statements about the
 * platform.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { type Crl, readCrl } from "../../../certificate/crl.ts";
import { readPublicKey, verifyWith } from "../../../certificate/public_key.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex, hex, sha256 } from "../../../platform/bytes.ts";
import type { Checks } from "../../checks.ts";
import { createChecks } from "../../checks.ts";
import { prefixed } from "./_prefixed.ts";
import { checkSignedJson } from "./intel_json.ts";
import { crlNames, type TdxCollateral } from "./collateral.ts";
import { checkPckChain, checkRevocation, checkSignerChain, type PckCa, pckCaOf, type PckChain } from "./intel_chain.ts";
import { type PckPlatform, readPckPlatform } from "./pck.ts";
import { type QeIdentityDocument, readQeIdentity } from "./qe_identity.ts";
import type { TdxQuote } from "./quote.ts";
import { moduleVerdict, platformVerdict, qeVerdict } from "./tcb_level.ts";
import { readTcbInfo, type TcbInfoDocument } from "./tcb_info.ts";
import { type TcbVerdict, worstOf } from "./tcb_status.ts";

/** A platform that Intel vouches for, and its TCB state. */
export interface TcbReport extends TcbVerdict {
  readonly platform: PckPlatform;
  /** The number of Intel's evaluation: the lower one of TCB info and QE identity. */
  readonly evaluation: number;
}

/** Intel's root, and the time of the verification. */
export interface IntelTrust {
  readonly anchor: Certificate;
  readonly now: Date;
}

/** The collateral, decoded. */
interface Documents {
  readonly tcbInfo: TcbInfoDocument;
  readonly qeIdentity: QeIdentityDocument;
  readonly crls: { readonly root: Crl; readonly pck: Crl };
}

/** The DER in front of the point in the SPKI of a P-256 key. */
const P256_SPKI = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "SPKI");
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const ZEROS = new Uint8Array(32);

/**
 * Checks that a quote comes from a TD on one of Intel's platforms, and that Intel knows the platform's state.
 *
 * Stale collateral is refused first, because people can fix it. The state is the worst state of the platform, its TDX
 * module and the quoting enclave. The module counts as launched and, if the quote shows it, as it is now.
 *
 * @param quote The quote.
 * @param chain The quote's PCK chain.
 * @param collateral Intel's documents.
 * @param trust Intel's root, and the time of day.
 * @param checks Is told of each check.
 * @returns The platform's state. A policy decides whether the state is good enough.
 * @throws {BootstrapError} `refused/tdx-…`, `malformed/…`.
 */
export async function checkDcap(
  quote: TdxQuote,
  chain: PckChain,
  collateral: TdxCollateral,
  trust: IntelTrust,
  checks: Checks = createChecks(),
): Promise<TcbReport> {
  const documents = await checks.need(
    "tdx-collateral-form",
    () => prefixed(() => readDocuments(collateral, pckCaOf(chain))),
  );
  const { tcbInfo: { tcbInfo }, qeIdentity: { qeIdentity } } = documents;
  const { now } = trust;
  await checks.run(
    "tdx-tcb-info-date",
    now.toISOString(),
    () => checkDates("tdx-tcb-info-date", "TCB info", tcbInfo, now),
  );
  await checks.run(
    "tdx-qe-identity-date",
    now.toISOString(),
    () => checkDates("tdx-qe-identity-date", "QE identity", qeIdentity, now),
  );

  const platform = await checkQuoteSignatures(quote, chain, trust, checks);
  await checkDocuments(documents, collateral, chain, trust, checks);

  const { report } = quote;
  checks.expect("tdx-fmspc", tcbInfo.fmspc, platform.fmspc, "The TCB info is of other platforms (FMSPC)");
  checks.expect("tdx-pce-id", tcbInfo.pceId, platform.pceId, "The TCB info is of another PCE");
  const svns = [report.teeTcbSvn, ...(report.current === undefined ? [] : [report.current.teeTcbSvn])];
  const verdicts = await checks.need("tdx-tcb-level", () => [
    ...svns.map((svn) => platformVerdict(tcbInfo, platform, svn)),
    ...svns.map((svn) => moduleVerdict(tcbInfo, report, svn)),
    qeVerdict(qeIdentity, quote.qeReport),
  ]);
  const evaluation = Math.min(tcbInfo.evaluation, qeIdentity.evaluation);
  return { ...worstOf(verdicts.filter((verdict) => verdict !== undefined)), platform, evaluation };
}

/**
 * Checks the parts that a quote carries itself: its signature, the quoting enclave's signature for the attestation key,
 * and the PCK's signature for the enclave, up to Intel's root. It does not check revocation or the platform's TCB
 * level.
 *
 * @throws {BootstrapError} `refused/tdx-root`, `refused/tdx-certificate-…`, `refused/tdx-critical-extension`,
 *   `refused/tdx-qe-signature`, `refused/tdx-qe-report-data`, `refused/tdx-quote-signature`, `malformed/…`.
 */
export async function checkQuoteSignatures(
  quote: TdxQuote,
  chain: PckChain,
  { anchor, now }: IntelTrust,
  checks: Checks = createChecks(),
): Promise<PckPlatform> {
  await checks.need("tdx-pck-chain", () => prefixed(() => checkPckChain(chain, anchor, now)));
  const platform = await checks.need("tdx-pck-form", () => readPckPlatform(chain.pck));
  await checks.run("tdx-qe-signature", "its signature", async () => {
    if (await isSignedBy(chain.pck.spki, quote.qeReportSignature, quote.qeReport.bytes)) return;
    throw refusal("tdx-qe-signature", "The QE's report is not signed by the PCK", "its signature", "another");
  });
  const bound = concat(await sha256(quote.attestationKey, quote.qeAuthData), ZEROS);
  const notBound = "The QE does not vouch for the attestation key";
  checks.expect("tdx-qe-report-data", hex(quote.qeReport.reportData), hex(bound), notBound);
  await checks.run("tdx-quote-signature", "its signature", async () => {
    if (await isSignedBy(concat(P256_SPKI, quote.attestationKey), quote.signature, quote.signed)) return;
    throw refusal("tdx-quote-signature", "The quote is not signed by its attestation key", "its signature", "another");
  });
  return platform;
}

/** Reads the documents. The lists are named by their files, because caches give them in other forms. */
function readDocuments(collateral: TdxCollateral, pckCa: PckCa): Documents {
  return {
    tcbInfo: readTcbInfo(collateral.tcbInfo),
    qeIdentity: readQeIdentity(collateral.qeIdentity),
    crls: {
      root: readCrl(collateral.rootCrl, `Intel's root CRL, ${crlNames(pckCa).root}`),
      pck: readCrl(collateral.pckCrl, `PCK CRL, ${crlNames(pckCa).pck}`),
    },
  };
}

async function checkDocuments(
  { tcbInfo, qeIdentity, crls }: Documents,
  collateral: TdxCollateral,
  chain: PckChain,
  { anchor, now }: IntelTrust,
  checks: Checks,
): Promise<void> {
  const signerOf = (check: string, pem: Uint8Array, what: string) =>
    checks.need(check, () => prefixed(() => checkSignerChain(pem, anchor, what, now)));
  const tcbSigner = await signerOf("tdx-tcb-info-chain", collateral.tcbInfoChain, "TCB info's issuer chain");
  const qeSigner = await signerOf("tdx-qe-identity-chain", collateral.qeIdentityChain, "QE identity's issuer chain");
  await checks.run(
    "tdx-revocation",
    "PCK CRL, root CRL",
    () => prefixed(() => checkRevocation(chain, [tcbSigner, qeSigner], crls, anchor, now)),
  );
  await checks.run(
    "tdx-tcb-info-signature",
    "its signature",
    () => checkSignedJson(tcbInfo, tcbSigner, "tdx-tcb-info-signature", "TCB info"),
  );
  await checks.run(
    "tdx-qe-identity-signature",
    "its signature",
    () => checkSignedJson(qeIdentity, qeSigner, "tdx-qe-identity-signature", "QE identity"),
  );
}

/** The dates of a document of Intel's. */
export interface Dates {
  readonly issueDate: Date;
  readonly nextUpdate: Date;
}

/** Checks that a document of Intel's is valid at a time. @throws {BootstrapError} `refused/CHECK`. */
// deno-lint-ignore require-await -- A refusal must be a rejection.
export async function checkDates(
  check: RefusalCheck,
  what: string,
  { issueDate, nextUpdate }: Dates,
  now: Date,
): Promise<void> {
  if (now >= issueDate && now <= nextUpdate) return;
  const expected = `${issueDate.toISOString()} to ${nextUpdate.toISOString()}`;
  const next = "Fetch it again from Intel's Provisioning Certification Service, and check the clocks";
  throw refusal(check, `Intel's ${what} is not valid now`, expected, now.toISOString(), next);
}

async function isSignedBy(spki: Uint8Array, signature: Bytes, message: Bytes): Promise<boolean> {
  return readPublicKey(spki, "P-256 key").type === "p-256" && await verifyWith(ECDSA, spki, signature, message);
}
