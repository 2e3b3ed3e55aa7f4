/**
 * Makes a policy's SEV-SNP section from machines that are known to be good.
 *
 * @module
 */
import type { AnyErrorCode } from "../../../platform/errors.ts";
import { hex } from "../../../platform/bytes.ts";
import { NO_COLLATERAL } from "../../collateral.ts";
import type { MadeSection, SectionContext, SectionSource } from "../../policy/policy_section.ts";
import { inSource, sourcesError, unique } from "../../policy/policy_section.ts";
import { type AmdAnchor, amdAnchors, type Product, PRODUCTS } from "./amd_roots.ts";
import { certificateOf } from "./appraisal.ts";
import { checkVekChain, type VekKind } from "./chain.ts";
import { decodePayload, type SnpPayload } from "./payload.ts";
import { hasBit } from "../../bit_rules.ts";
import { GUEST_POLICY_BITS, PLATFORM_INFO_BITS, readReport, type SnpReport } from "./report.ts";
import { isSameTcb, type Tcb, TCB_COMPONENTS } from "./tcb.ts";
import { readTcbs, type Tcbs } from "./tcb_checks.ts";
import { lineOf } from "./vek.ts";

/** The contents of a machine's evidence. */
interface SnpMachine {
  readonly name: string;
  readonly report: SnpReport;
  readonly kind: VekKind;
  readonly product: Product;
  readonly provider?: string;
  readonly tcbs: Tcbs;
}

/** The refusals for missing collateral. */
const MISSING: readonly AnyErrorCode[] = ["refused/snp-collateral"];
/** Host states that a policy allows by default, and that operators should know of. */
const DANGERS: readonly { readonly isThere: (report: SnpReport) => boolean; readonly text: string }[] = [
  {
    isThere: ({ policy }) => hasBit(policy, GUEST_POLICY_BITS.smt),
    text: "may run beside another VM's threads on one core; guestPolicy.forbidden: [smt] refuses that",
  },
  {
    isThere: ({ policy }) => hasBit(policy, GUEST_POLICY_BITS.cxl),
    text: "may have memory on a CXL device; guestPolicy.forbidden: [cxl] refuses that",
  },
  {
    isThere: ({ platformInfo }) => !hasBit(platformInfo, PLATFORM_INFO_BITS.aliasCheckComplete),
    text:
      "is on a host that did not look for memory with aliases (BadRAM); platformInfo.required: [aliasCheckComplete] refuses that",
  },
];

/**
 * Makes the section: the lowest TCBs of each line of processors, and every kind of signing key and every launch digest
 * of the machines. The section has no rules for bits, and names no chips.
 *
 * @throws {BootstrapError} `usage/policy-sources`, `malformed/…`, and `refused/snp-…` for a signing key that is not
 *   AMD's or whose certificate cannot be found; that error names the document.
 */
export async function makeSnpSection(
  sources: readonly SectionSource[],
  context: SectionContext,
  anchors: readonly AmdAnchor[] = amdAnchors(),
): Promise<MadeSection> {
  const machines = await Promise.all(
    sources.map((source) => inSource(source.name, MISSING, () => machineOf(source, context, anchors))),
  );
  const products = PRODUCTS.flatMap((product) => {
    const tcbs = machines.filter((machine) => machine.product === product).map((machine) => machine.tcbs);
    const [minimumTcb, minimumLaunchTcb] = [
      lowest(tcbs.map((one) => one.reported)),
      lowest(tcbs.map((one) => one.launch)),
    ];
    return tcbs.length === 0 ? [] : [[product, { minimumTcb, minimumLaunchTcb }] as const];
  });
  const providers = unique(machines.flatMap(({ provider }) => provider ?? []));
  const lagging = machines.filter(({ tcbs }) => !isSameTcb(tcbs.reported, tcbs.current));
  const section = {
    products: Object.fromEntries(products),
    signingKeys: unique(machines.map(({ kind }) => kind)),
    ...(providers.length === 0 ? {} : { providers }),
    ...(lagging.length === 0 ? {} : { allowsLaggingTcb: true }),
    measurements: unique(machines.map(({ report }) => hex(report.measurement))),
  };
  const lags = lagging.map(({ name }) =>
    `The host of ${name} signs with the key of an older TCB than the one that runs, so that allowsLaggingTcb is set.`
  );
  const dangers = machines.flatMap(({ name, report }) =>
    DANGERS.filter(({ isThere }) => isThere(report)).map(({ text }) => `The machine of ${name} ${text}.`)
  );
  return { section, remarks: [...lags, ...dangers] };
}

async function machineOf(
  { name, payload: bytes }: SectionSource,
  context: SectionContext,
  anchors: readonly AmdAnchor[],
): Promise<SnpMachine> {
  const payload = decodePayload(bytes);
  const report = readReport(payload.report);
  const { signingKey: kind } = report;
  if (kind === "none") {
    throw sourcesError(`no key signed the report in ${name}`, "Make it on a machine whose processor signs its reports");
  }
  const signer = await signerOf(payload, report, kind, context, anchors);
  return { name, report, kind, ...signer, tcbs: readTcbs(report, signer.product) };
}

/** Finds the line of a processor. If AMD's documents are not consulted, the report's own statement is used. */
async function signerOf(
  payload: SnpPayload,
  report: SnpReport,
  kind: VekKind,
  { collateral, now }: SectionContext,
  anchors: readonly AmdAnchor[],
): Promise<{ readonly product: Product; readonly provider?: string }> {
  const line = report.processor === undefined ? undefined : lineOf(report.processor);
  const product = PRODUCTS.find((candidate) => candidate === line);
  if (collateral === undefined && payload.vek.length === 0 && kind === "vcek" && product !== undefined) {
    return { product };
  }
  const certificate = await certificateOf(payload, report, kind, collateral ?? NO_COLLATERAL);
  const chain = await checkVekChain(certificate, kind, payload.authority, anchors, now());
  const { providerId } = chain.extensions;
  return { product: chain.anchor.product, ...(providerId === undefined ? {} : { provider: providerId }) };
}

/** The lowest version of each part. Every TCB is at least as new. */
function lowest(tcbs: readonly Tcb[]): Partial<Tcb> {
  return Object.fromEntries(
    TCB_COMPONENTS.filter((component) => tcbs.some((tcb) => tcb[component] !== undefined))
      .map((component) => [component, Math.min(...tcbs.map((tcb) => tcb[component] ?? 0))]),
  );
}
