/**
 * Makes a policy's TDX section from machines that are known to be good.
 *
 * @module
 */
import type { Certificate } from "../../../certificate/x509.ts";
import type { AnyErrorCode } from "../../../platform/errors.ts";
import { hex, isZero } from "../../../platform/bytes.ts";
import type { Collateral } from "../../collateral.ts";
import type { MadeSection, SectionContext, SectionSource } from "../../policy/policy_section.ts";
import { inSource, unique } from "../../policy/policy_section.ts";
import { checkDcap, type IntelTrust, type TcbReport } from "./dcap.ts";
import { intelRoot } from "./intel_root.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readQuote, type TdReport } from "./quote.ts";
import { TCB_STATUSES } from "./tcb_status.ts";
import { lowestTeeTcbSvn } from "./tee_tcb_svn.ts";
import { readTdxEvidence } from "./verifier.ts";

/** The contents of a machine's evidence. */
interface TdxMachine {
  readonly name: string;
  readonly report: TdReport;
  /** Intel's statements about the machine, if Intel's documents were consulted. */
  readonly tcb?: TcbReport;
}

/** The refusals for missing collateral. */
const MISSING: readonly AnyErrorCode[] = ["refused/tdx-collateral-missing"];
/** The lowest evaluation number that a policy may have. It allows any evaluation. */
const ANY_EVALUATION = 1;

/**
 * Makes the section: every value of MRTD and the RTMRs that a machine shows, the lowest TEE_TCB_SVN, and the machines'
 * TCB states according to Intel. RTMR 0 is left out if there are several sources and its value differs in each.
 *
 * @param sources One or more.
 * @throws {BootstrapError} `malformed/…`; `refused/tdx-…` for a quote that Intel does not vouch for, or that cannot be
 *   judged because a document is missing.
 */
export async function makeTdxSection(
  sources: readonly SectionSource[],
  context: SectionContext,
  anchor: Certificate = intelRoot(),
): Promise<MadeSection> {
  const machines = await Promise.all(
    sources.map((source) => inSource(source.name, MISSING, () => machineOf(source, context, anchor))),
  );
  const values = (of: (report: TdReport) => Uint8Array) => unique(machines.map(({ report }) => hex(of(report))));
  const [first = new Uint8Array(), ...others] = machines.map(({ report }) => report.teeTcbSvn);
  const rtmr0 = values(({ rtmrs }) => rtmrs[0]);
  const isVarying = machines.length > 1 && rtmr0.length === machines.length;
  const verdicts = machines.flatMap(({ tcb }) => tcb ?? []);
  // `UpToDate` stays allowed, so that an updated machine is still accepted.
  const statuses = verdicts.length === 0
    ? []
    : TCB_STATUSES.filter((status) => status === "UpToDate" || verdicts.some((tcb) => tcb.status === status));
  const evaluations = verdicts.map(({ evaluation }) => evaluation);
  const section = {
    mrtd: values(({ mrtd }) => mrtd),
    ...(isVarying ? {} : { rtmr0 }),
    rtmr1: values(({ rtmrs }) => rtmrs[1]),
    rtmr2: values(({ rtmrs }) => rtmrs[2]),
    ...(statuses.length === 0 ? {} : { tcbStatuses: statuses }),
    minimumTeeTcbSvn: hex(lowestTeeTcbSvn(first, ...others)),
    minimumEvaluation: evaluations.length === 0 ? ANY_EVALUATION : Math.min(...evaluations),
  };
  const remarks = [
    ...machines.filter(({ report }) => isZero(report.rtmrs[1]) && isZero(report.rtmrs[2])).map(({ name }) =>
      `NOT MEASURED: RTMR 1 and RTMR 2 of ${name} are zero: nothing measured which kernel booted, so whoever runs code ` +
      "in that machine can make any value of these registers."
    ),
    ...(isVarying
      ? ["RTMR 0, the VM's shape, is different in every file, so it is left out: any value of it is allowed."]
      : []),
    ...machines.flatMap(remarkOnTcb),
  ];
  return { section, remarks };
}

async function machineOf(
  { name, payload }: SectionSource,
  { collateral, now }: SectionContext,
  anchor: Certificate,
): Promise<TdxMachine> {
  const { report } = readQuote(decodeTdxPayload(payload).quote);
  if (collateral === undefined) return { name, report };
  return { name, report, tcb: await tcbOf(payload, collateral, { anchor, now: now() }) };
}

async function tcbOf(payload: Uint8Array, from: Collateral, trust: IntelTrust): Promise<TcbReport> {
  const { quote, chain, collateral } = await readTdxEvidence(payload, from);
  return await checkDcap(quote, chain, collateral, trust);
}

function remarkOnTcb({ name, tcb }: TdxMachine): readonly string[] {
  if (tcb === undefined) {
    return ["Intel's documents were not consulted: set tcbStatuses and minimumEvaluation according to them."];
  }
  if (tcb.status === "UpToDate") return [];
  const advisories = tcb.advisoryIds.length === 0 ? "" : ` (${tcb.advisoryIds.join(", ")})`;
  return [`The platform of ${name} is ${tcb.status}${advisories}, which tcbStatuses lets in.`];
}
