/**
 * Evidence from real SEV-SNP processors, and verdicts on it.
 *
 * @module
 */
import type { Bytes } from "../../../../platform/bytes.ts";
import { fromHex, fromUtf8 } from "../../../../platform/bytes.ts";
import { createChecks } from "../../../checks.ts";
import { amdAnchors } from "../amd_roots.ts";
import { appraise, type Appraised } from "../appraisal.ts";
import type { SnpPolicy } from "../policy.ts";
import { readReport } from "../report.ts";
import { collateralOf } from "./snp.ts";

type Read = (path: string) => Promise<Bytes>;

const now = new Date("2024-06-01T00:00:00Z");
/** AMD's roots. */
export const anchors = amdAnchors();
/** No certificate, and no list. */
export const none = new Uint8Array();
/** The real reports. */
export const REPORTS = ["milan", "test"] as const;

/** A real report and its certificate. */
export async function evidenceOf(read: Read, name: typeof REPORTS[number]): Promise<{ report: Bytes; vek: Bytes }> {
  if (name === "test") return { report: await read("test-report.bin"), vek: await read("test-vcek.der") };
  const text = fromUtf8(await read("report_milan.hex"), "report").trim();
  return { report: fromHex(text, "report"), vek: await read("vcek_milan.der") };
}

/** A policy that requires exactly the values of a report. The statement is the first half of its report data. */
export function expectationOf(report: Bytes, changes: Partial<SnpPolicy> = {}) {
  const { measurement, reportData, hostData } = readReport(report);
  const minimum = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
  const policy: SnpPolicy = {
    products: new Map([["milan", { minimumTcb: minimum, minimumLaunchTcb: minimum }]]),
    signingKeys: ["vcek"],
    providers: [],
    allowsLaggingTcb: false,
    measurements: [measurement],
    guestPolicy: { required: ["smt"], forbidden: ["cxl", "singleSocket"] },
    platformInfo: { required: [], forbidden: ["tsme", "tio"] },
    bannedChipIds: new Set(),
    ...changes,
  };
  const statement = reportData.slice(0, 32);
  return { statement, hostData: [hostData], policy, collateral: collateralOf({}), anchors, now };
}

/** The verdict on a report without a revocation list. */
export function judge(report: Bytes, vek: Bytes, expected: ReturnType<typeof expectationOf>): Promise<Appraised> {
  return appraise({ report, vek, authority: none, crl: none }, expected, createChecks());
}
