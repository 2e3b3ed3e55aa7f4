/**
 * The verdict on evidence from an Intel TDX machine: first Intel's statements, then the protocol's and the policy's
 * requirements.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { concat, hex, isZero } from "../../../platform/bytes.ts";
import type { Checks } from "../../checks.ts";
import { createChecks } from "../../checks.ts";
import type { Collateral } from "../../collateral.ts";
import type { EvidenceClaims, Expectation, ExplainingVerifier } from "../../evidence.ts";
import { AS_SHOWN, NO_IDENTITY } from "../../evidence.ts";
import type { RegisterForms, RegisterValues } from "../../expectation.ts";
import { CollateralWanted } from "../../collateral_wanted.ts";
import { checkExpectation, registerValues } from "../../expectation.ts";
import { structureError } from "./_structure.ts";
import { completeCollateral, type TdxCollateral } from "./collateral.ts";
import { checkDcap, checkQuoteSignatures, type IntelTrust, type TcbReport } from "./dcap.ts";
import { pckCaOf, type PckChain, readPckChain } from "./intel_chain.ts";
import { intelRoot } from "./intel_root.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readPckPlatform } from "./pck.ts";
import type { TdxPolicy } from "./policy.ts";
import { readQuote, type TdReport, type TdxQuote } from "./quote.ts";
import { extendedRtmr, padded, TDX_LOCK_REGISTER, TDX_REGISTER_BYTES } from "./rtmr.ts";
import { checkTdAttributes } from "./td_attributes.ts";
import { reachesMinimum } from "./tee_tcb_svn.ts";

/** The values that the evidence must show on this connection. */
export interface TdxExpectation {
  /** A1 or A2, 32 bytes. REPORTDATA must be this and 32 zero bytes. */
  readonly statement: Uint8Array;
  /** The acceptable values of MRCONFIGID and of RTMR 3, 48 bytes each. */
  readonly registers: RegisterValues;
  /**
   * SHA-256 of SPKI_c, or the cluster ID in an Init, lower-case hexadecimal. The statement binds it; the quote does not
   * name it.
   */
  readonly identity: string;
}

/** A quote and the documents that verify it. */
export interface TdxEvidence {
  readonly quote: TdxQuote;
  /** The quote's PCK chain. */
  readonly chain: PckChain;
  /** Intel's documents. */
  readonly collateral: TdxCollateral;
}

const DIGEST_BYTES = 32;
/** MRCONFIGID is D12, padded. The protocol extends D15 into RTMR 3 once. */
const FORMS: RegisterForms = {
  trust: padded,
  lock: extendedRtmr,
  fresh: new Uint8Array(TDX_REGISTER_BYTES),
};

/**
 * Creates a verifier of TDX evidence.
 *
 * MRCONFIGID must be D12, padded, and RTMR 3 must hold D15. The identity is the expected one, because a quote does not
 * name one.
 *
 * Its `verify` throws `refused/variant`, `refused/tdx-collateral-missing`, and the errors of {@linkcode verifyTdx}.
 *
 * @param policy The policy that the TD must meet.
 * @param collateral The source of documents that do not come with the evidence.
 * @param now The time of day.
 * @param anchor The trusted root. By default Intel's own; tests pass another.
 */
export function createTdxVerifier(
  policy: TdxPolicy,
  collateral: Collateral,
  now: () => Date,
  anchor: IntelTrust["anchor"] = intelRoot(),
): ExplainingVerifier {
  return {
    variant: "tdx",
    identityIsKey: true,
    // A quote for another exchange may be one that anybody has read.
    vendorChecks: ["tdx-pck-chain", "tdx-qe-signature", "tdx-qe-report-data", "tdx-quote-signature", "tdx-report-data"],
    async verify({ variant, payload }, statement, expectation, report) {
      checkExpectation(statement, expectation);
      const checks = createChecks(report);
      checks.expect("variant", variant, "tdx", "The evidence is of another variant");
      // The bytes of another variant are no malformed ones of this: no later check would mean anything.
      if (variant !== "tdx") checks.end();
      const trust = { anchor, now: now() };
      const expectedOf = async ({ report }: TdxQuote): Promise<TdxExpectation> => ({
        ...{ statement, registers: await allowedRegisters(report, expectation) },
        identity: expectation === AS_SHOWN ? NO_IDENTITY : expectation.identity,
      });
      const evidence = await checks.need("form", async () => {
        try {
          return await readTdxEvidence(payload, collateral);
        } catch (error) {
          if (error instanceof CollateralWanted) await checkWithoutCollateral(payload, policy, expectedOf, trust);
          throw error;
        }
      });
      return { claims: await verifyTdx(evidence, policy, await expectedOf(evidence.quote), trust, checks) };
    },
  };
}

/**
 * Checks a quote completely.
 *
 * @param evidence The quote, its PCK chain, and Intel's documents.
 * @param policy The policy that the TD must meet.
 * @param expectation The values that the quote must show on this connection.
 * @param trust Intel's root, and the time of day.
 * @param checks Is told of each check.
 * @returns What the quote proves.
 * @throws {BootstrapError} `refused/tdx-…`, which names the check and has `check`, `expected` and `seen` in its
 *   details. The checks are those of {@linkcode checkDcap}; `tcb-status`, `tcb-minimum`, `tcb-evaluation`, `platform`,
 *   `banned-platform`; `debug`, `sept-ve-disable`, `attributes`, `xfam`, `service-td`; `report-data`, `mrconfigid`,
 *   `rtmr-3`; `mrtd`, `rtmr-0`, `rtmr-1`, `rtmr-2`. `malformed/…` for bytes that are not evidence.
 */
export async function verifyTdx(
  { quote, chain, collateral }: TdxEvidence,
  policy: TdxPolicy,
  expectation: TdxExpectation,
  trust: IntelTrust,
  checks: Checks = createChecks(),
): Promise<EvidenceClaims> {
  const { report } = quote;
  const tcb = await checkDcap(quote, chain, collateral, trust, checks);
  await checkTcb(tcb, report, policy, checks);
  checkPlatform(tcb.platform.ppid, policy, checks);
  const remarks = await checkTdAttributes(report, policy, checks);
  checkConnection(report, expectation, checks);
  checkMeasurements(report, policy, checks);
  checks.end();
  return {
    variant: "tdx",
    identity: expectation.identity,
    fresh: isZero(report.rtmrs[3]),
    isEphemeral: true,
    facts: factsOf(report, tcb),
    ...(remarks.length === 0 ? {} : { remarks }),
  };
}

/**
 * Runs the checks that need no document, so that none is fetched for evidence that fails anyway: only a machine with a
 * PCK of Intel's, started from an allowed image, for this connection, makes this side fetch.
 */
async function checkWithoutCollateral(
  payload: Uint8Array,
  policy: TdxPolicy,
  expectedOf: (quote: TdxQuote) => Promise<TdxExpectation>,
  trust: IntelTrust,
): Promise<void> {
  const { quote, chain } = readQuoteAndChain(decodeTdxPayload(payload).quote);
  const checks = createChecks();
  checkConnection(quote.report, await expectedOf(quote), checks);
  checkMeasurements(quote.report, policy, checks);
  await checkTdAttributes(quote.report, policy, checks);
  const { ppid } = await checkQuoteSignatures(quote, chain, trust, checks);
  checkPlatform(ppid, policy, checks);
}

function readQuoteAndChain(bytes: Uint8Array): Pick<TdxEvidence, "quote" | "chain"> {
  const quote = readQuote(bytes);
  if (quote.trailing !== 0) throw structureError("evidence", `${quote.trailing} bytes follow its quote`);
  return { quote, chain: readPckChain(quote.pckChain) };
}

/**
 * Reads evidence, and adds the documents that it lacks. It verifies nothing.
 *
 * @throws {BootstrapError} `malformed/…`, `refused/tdx-collateral-missing`, and the errors of `collateral`.
 */
export async function readTdxEvidence(payload: Uint8Array, collateral: Collateral): Promise<TdxEvidence> {
  const { quote: bytes, collateral: own } = decodeTdxPayload(payload);
  const { quote, chain } = readQuoteAndChain(bytes);
  // The certificate is still unverified here; it only selects the names of documents.
  const need = { fmspc: readPckPlatform(chain.pck).fmspc, pckCa: pckCaOf(chain) };
  return { quote, chain, collateral: await completeCollateral(own, collateral, need) };
}

async function allowedRegisters(
  { mrConfigId, rtmrs }: TdReport,
  expectation: Expectation | typeof AS_SHOWN,
): Promise<RegisterValues> {
  if (expectation !== AS_SHOWN) return await registerValues(expectation, FORMS);
  return { trust: [mrConfigId], lock: [rtmrs[TDX_LOCK_REGISTER]] };
}

async function checkTcb(tcb: TcbReport, { teeTcbSvn }: TdReport, policy: TdxPolicy, checks: Checks): Promise<void> {
  const advisories = tcb.advisoryIds.length === 0 ? "" : ` (${tcb.advisoryIds.join(", ")})`;
  const notAllowed = `The platform's TCB is ${tcb.status}${advisories}, which the policy does not allow`;
  checks.expectOneOf("tdx-tcb-status", tcb.status, policy.tcbStatuses, notAllowed);
  const minimum = policy.minimumTeeTcbSvn;
  await checks.run("tdx-tcb-minimum", hex(teeTcbSvn), () => {
    if (reachesMinimum(teeTcbSvn, minimum)) return Promise.resolve();
    const message = "The platform's TEE_TCB_SVN is below the policy's minimum";
    return Promise.reject(refusal("tdx-tcb-minimum", message, hex(minimum), hex(teeTcbSvn)));
  });
  const [wanted, evaluation] = [`${policy.minimumEvaluation} or more`, String(tcb.evaluation)];
  await checks.run("tdx-tcb-evaluation", evaluation, () => {
    if (tcb.evaluation >= policy.minimumEvaluation) return Promise.resolve();
    const message = "Intel's evaluation of the platform is too old";
    return Promise.reject(refusal("tdx-tcb-evaluation", message, wanted, evaluation));
  });
}

function checkPlatform(ppid: string, { platforms, bannedPlatforms }: TdxPolicy, checks: Checks): void {
  const isBanned = bannedPlatforms.has(ppid) ? "banned" : "not banned";
  checks.expect("tdx-banned-platform", isBanned, "not banned", `The platform ${ppid} is banned`);
  if (platforms === undefined) return;
  checks.expectOneOf("tdx-platform", ppid, [...platforms], "The policy does not name the platform");
}

function checkConnection(
  report: TdReport,
  { statement, registers: { trust, lock } }: TdxExpectation,
  checks: Checks,
): void {
  const reportData = concat(statement, new Uint8Array(DIGEST_BYTES));
  const otherConnection = "The quote was made for another connection";
  checks.expect("tdx-report-data", hex(report.reportData), hex(reportData), otherConnection);
  const otherTrust = "MRCONFIGID is not the trust part of the configuration";
  checks.expectOneOf("tdx-mrconfigid", hex(report.mrConfigId), trust.map(hex), otherTrust);
  const otherLock = "RTMR 3 has a value that is not allowed (which holds the lock; zero stands for none)";
  checks.expectOneOf("tdx-rtmr-3", hex(report.rtmrs[3]), lock.map(hex), otherLock);
}

function checkMeasurements({ mrtd, rtmrs }: TdReport, policy: TdxPolicy, checks: Checks): void {
  const check = (name: RefusalCheck, seen: Uint8Array, allowed: readonly Uint8Array[], message: string) =>
    checks.expectOneOf(name, hex(seen), allowed.map(hex), `${message} is not allowed`);
  check("tdx-mrtd", mrtd, policy.mrtd, "MRTD, the virtual firmware,");
  if (policy.rtmr0 !== undefined) check("tdx-rtmr-0", rtmrs[0], policy.rtmr0, "RTMR 0, the VM's shape,");
  check("tdx-rtmr-1", rtmrs[1], policy.rtmr1, "RTMR 1, the kernel,");
  check("tdx-rtmr-2", rtmrs[2], policy.rtmr2, "RTMR 2, the kernel's arguments,");
}

function factsOf({ mrtd, rtmrs, teeTcbSvn }: TdReport, tcb: TcbReport): Readonly<Record<string, string>> {
  return {
    mrtd: hex(mrtd),
    ...Object.fromEntries(rtmrs.map((value, index) => [`rtmr${index}`, hex(value)])),
    teeTcbSvn: hex(teeTcbSvn),
    tcbStatus: tcb.status,
    advisories: tcb.advisoryIds.join(", "),
    evaluation: String(tcb.evaluation),
    ppid: tcb.platform.ppid,
    fmspc: tcb.platform.fmspc,
  };
}
