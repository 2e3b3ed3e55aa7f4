/**
 * The checks of a report's TCBs.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import type { Checks } from "../../checks.ts";
import { expectThat } from "./_expect_that.ts";
import type { Product } from "./amd_roots.ts";
import type { VekChain } from "./chain.ts";
import type { SnpPolicy } from "./policy.ts";
import type { SnpReport } from "./report.ts";
import { isAtLeast, isSameTcb, readTcb, type Tcb, tcbText } from "./tcb.ts";
import { tcbFormOf } from "./vek.ts";

/** The TCBs of a report. */
export interface Tcbs {
  /** The running TCB. */
  readonly current: Tcb;
  /** The TCB whose key signs the report. */
  readonly reported: Tcb;
  /** The TCB below which the firmware cannot be rolled back. */
  readonly committed: Tcb;
  /** The TCB that ran when the VM was launched. */
  readonly launch: Tcb;
}

/**
 * Reads the TCBs of a report from a given line of processors.
 *
 * @throws {BootstrapError} `malformed/snp-tcb`.
 */
export function readTcbs(report: SnpReport, product: Product): Tcbs {
  const read = (bytes: Bytes, what: string) => readTcb(bytes, tcbFormOf(product), `${what} TCB`);
  return {
    current: read(report.currentTcb, "current"),
    reported: read(report.reportedTcb, "reported"),
    committed: read(report.committedTcb, "committed"),
    launch: read(report.launchTcb, "launch"),
  };
}

/** Lists the parts of TCBs that are not zero and have no name here, for people. */
export function unnamedParts(tcbs: Tcbs): readonly string[] {
  return Object.entries(tcbs).flatMap(([which, { unnamed = {} }]: [string, Tcb]) =>
    Object.entries(unnamed).map(([place, value]) => `byte ${place} of the ${which} TCB ${value}`)
  );
}

/** Checks the TCBs of a report against each other, the signing key's TCB, and a policy. */
export async function checkTcbs(
  tcbs: Tcbs,
  { anchor, extensions }: VekChain,
  policy: SnpPolicy,
  checks: Checks,
): Promise<void> {
  const { current, reported, committed, launch } = tcbs;
  const certified = extensions.tcb;
  const rules = policy.products.get(anchor.product);
  const hold = (check: RefusalCheck, holds: boolean, message: string, wanted: string, seen: Tcb) =>
    expectThat(checks, check, holds, message, wanted, tcbText(seen));
  const atMostCurrent = `at most ${tcbText(current)}`;
  const keyOfAnother = "The signing key is of another TCB than the one that is reported";
  await hold("snp-certificate-tcb", isSameTcb(reported, certified), keyOfAnother, tcbText(certified), reported);
  const keyTooNew = "The signing key is of a newer TCB than the one that runs";
  await hold("snp-current-tcb", isAtLeast(current, certified), keyTooNew, atMostCurrent, certified);
  const committedTooNew = "The firmware that runs is older than what it is committed to";
  await hold("snp-committed-tcb", isAtLeast(current, committed), committedTooNew, atMostCurrent, committed);
  const isLagging = !isSameTcb(reported, current);
  const lags = "The host reports an older TCB than the one that runs";
  await hold("snp-lagging-tcb", policy.allowsLaggingTcb || !isLagging, lags, tcbText(current), reported);
  // An earlier check refused a line that is not allowed.
  if (rules === undefined) return;
  const { minimumTcb, minimumLaunchTcb } = rules;
  const tooOld = "The host's firmware is older than the policy allows";
  await hold("snp-minimum-tcb", isAtLeast(reported, minimumTcb), tooOld, `at least ${tcbText(minimumTcb)}`, reported);
  const launchTooOld = "The VM was launched by older firmware than the policy allows";
  const minimumAtLaunch = `at least ${tcbText(minimumLaunchTcb)}`;
  await hold("snp-launch-tcb", isAtLeast(launch, minimumLaunchTcb), launchTooOld, minimumAtLaunch, launch);
}
