/**
 * The verdict on evidence of an Intel TDX machine: what Intel vouches for, then what the protocol and the policy want.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { concat, hex, isZero } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { Checks } from "../../checks.ts";
import { createChecks } from "../../checks.ts";
import type { Collateral } from "../../collateral.ts";
import type { EvidenceClaims, EvidenceVerifier, RegisterExpectation } from "../../evidence.ts";
import { structureError } from "./_structure.ts";
import { completeCollateral, type TdxCollateral } from "./collateral.ts";
import { checkDcap, type IntelTrust, type TcbReport } from "./dcap.ts";
import { pckCaOf, type PckChain, readPckChain } from "./intel_chain.ts";
import { intelRoot } from "./intel_root.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readPckPlatform } from "./pck.ts";
import type { TdxPolicy } from "./policy.ts";
import { readQuote, type TdReport, type TdxQuote } from "./quote.ts";
import { extendedRtmr, padded } from "./rtmr.ts";
import { checkTdAttributes } from "./td_attributes.ts";
import { reachesMinimum } from "./tee_tcb_svn.ts";

/** What the evidence must show on this connection. */
export interface TdxExpectation {
  /** A1 or A2, 32 bytes: REPORTDATA is this and 32 zero bytes. */
  readonly statement: Uint8Array;
  /** The acceptable values of D12, 32 bytes each: MRCONFIGID is one of them, padded. */
  readonly trustDigests: readonly Uint8Array[];
  /** The acceptable values of D15, 32 bytes each: RTMR 3 was extended by one of them, once. 32 zero bytes stand for "not locked". */
  readonly lockDigests: readonly Uint8Array[];
  /** SHA-256 of SPKI_c, or the cluster ID in an Init; lower-case hexadecimal. The statement binds it, the quote does not name it. */
  readonly identity: string;
}

/** A quote with what it is verified by. */
export interface TdxEvidence {
  /** The quote. */
  readonly quote: TdxQuote;
  /** Its PCK chain. */
  readonly chain: PckChain;
  /** What Intel says. */
  readonly collateral: TdxCollateral;
}

const DIGEST_BYTES = 32;

/**
 * A verifier of TDX evidence.
 *
 * MRCONFIGID stands for PCR 12 and RTMR 3 for PCR 15, so that it wants the registers' `trustDigests` and `lockDigests`, and the
 * `identity`; `trust` and `lock` are not looked at.
 *
 * Its `verify` throws `refused/variant`, `refused/tdx-collateral-missing`, and what {@linkcode verifyTdx} does.
 *
 * @param policy What the TD must be.
 * @param collateral Where to look for what does not come with the evidence.
 * @param now The time of day.
 * @param anchor What is trusted; Intel's root unless a test says otherwise.
 */
export function createTdxVerifier(
  policy: TdxPolicy,
  collateral: Collateral,
  now: () => Date,
  anchor: IntelTrust["anchor"] = intelRoot(),
): EvidenceVerifier {
  return {
    variant: "tdx",
    async verify({ variant, payload }, statement, registers, report) {
      const expectation = expectationOf(statement, registers);
      const checks = createChecks(report);
      checks.expect("variant", variant, "tdx", "The evidence is of another variant");
      const evidence = await checks.need("form", () => readTdxEvidence(payload, collateral));
      return { claims: await verifyTdx(evidence, policy, expectation, { anchor, now: now() }, checks) };
    },
  };
}

/**
 * Checks a quote completely.
 *
 * @param evidence The quote, its PCK chain, and what Intel says.
 * @param policy What the TD must be.
 * @param expectation What it must show on this connection.
 * @param trust Intel's root, and the time of day.
 * @param checks Hears of each check.
 * @returns What it proves.
 * @throws {BootstrapError} `refused/tdx-…` naming the check, with `check`, `expected` and `seen` in its details: those of
 *   {@linkcode checkDcap}; `tcb-status`, `tcb-minimum`, `tcb-evaluation`, `platform`, `banned-platform`; `debug`,
 *   `sept-ve-disable`, `attributes`, `xfam`, `service-td`; `report-data`, `mrconfigid`, `rtmr-3`; `mrtd`, `rtmr-0`, `rtmr-1`,
 *   `rtmr-2`. `malformed/…` for bytes that are no evidence.
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
  await checkTdAttributes(report, checks);
  await checkConnection(report, expectation, checks);
  checkMeasurements(report, policy, checks);
  checks.end();
  return {
    variant: "tdx",
    identity: expectation.identity,
    fresh: isZero(report.rtmrs[3]),
    isEphemeral: true,
    facts: factsOf(report, tcb),
  };
}

/**
 * Reads evidence, and completes it by what it does not bring. Nothing of it is verified.
 *
 * @throws {BootstrapError} `malformed/…`, `refused/tdx-collateral-missing`, and what `collateral` throws.
 */
export async function readTdxEvidence(payload: Uint8Array, collateral: Collateral): Promise<TdxEvidence> {
  const { quote: bytes, collateral: own } = decodeTdxPayload(payload);
  const quote = readQuote(bytes);
  if (quote.trailing !== 0) throw structureError("evidence", `${quote.trailing} bytes follow its quote`);
  const chain = readPckChain(quote.pckChain);
  // Nothing but a name of documents yet: the certificate may be anybody's.
  const need = { fmspc: readPckPlatform(chain.pck).fmspc, pckCa: pckCaOf(chain) };
  return { quote, chain, collateral: await completeCollateral(own, collateral, need) };
}

/** A caller that forgets what to expect would accept anything: that is a defect, not the peer's fault. */
function expectationOf(statement: Uint8Array, registers: RegisterExpectation): TdxExpectation {
  const { trustDigests = [], lockDigests = [], identity = "" } = registers;
  const isUsable = (digests: readonly Uint8Array[]) =>
    digests.length > 0 && digests.every(({ length }) => length === DIGEST_BYTES);
  const isIdentity = /^[0-9a-f]{64}$/.test(identity);
  if (statement.length === DIGEST_BYTES && isUsable(trustDigests) && isUsable(lockDigests) && isIdentity) {
    return { statement, trustDigests, lockDigests, identity };
  }
  const message = "TDX evidence is verified against 32-byte statements, digests and identities only";
  throw new BootstrapError("internal/expectation", message);
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
    const message = "What Intel says of the platform is of an evaluation that is too old";
    return Promise.reject(refusal("tdx-tcb-evaluation", message, wanted, evaluation));
  });
}

function checkPlatform(ppid: string, { platforms, bannedPlatforms }: TdxPolicy, checks: Checks): void {
  const isBanned = bannedPlatforms.has(ppid) ? "banned" : "not banned";
  checks.expect("tdx-banned-platform", isBanned, "not banned", `The platform ${ppid} is banned`);
  if (platforms === undefined) return;
  checks.expectOneOf("tdx-platform", ppid, [...platforms], "The platform is none of the policy's");
}

async function checkConnection(report: TdReport, expectation: TdxExpectation, checks: Checks): Promise<void> {
  const { statement, trustDigests, lockDigests } = expectation;
  const reportData = concat(statement, new Uint8Array(DIGEST_BYTES));
  const otherConnection = "The quote was made for another connection";
  checks.expect("tdx-report-data", hex(report.reportData), hex(reportData), otherConnection);
  const configIds = trustDigests.map((digest) => hex(padded(digest)));
  const otherTrust = "MRCONFIGID is not the trust part of the configuration";
  checks.expectOneOf("tdx-mrconfigid", hex(report.mrConfigId), configIds, otherTrust);
  const locks = await Promise.all(
    lockDigests.map((digest) => isZero(digest) ? padded(digest) : extendedRtmr(digest)),
  );
  const otherLock = "RTMR 3 has a value that is not allowed (which holds the lock; zero stands for none)";
  checks.expectOneOf("tdx-rtmr-3", hex(report.rtmrs[3]), locks.map(hex), otherLock);
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
