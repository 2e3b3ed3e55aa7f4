/**
 * All checks of an SNP report except revocation.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { verifyWith } from "../../../certificate/public_key.ts";
import { concat, hex, isZero } from "../../../platform/bytes.ts";
import type { BootstrapError } from "../../../platform/errors.ts";
import type { Checks } from "../../checks.ts";
import { createChecks } from "../../checks.ts";
import type { Collateral } from "../../collateral.ts";
import { CollateralWanted } from "../../collateral_wanted.ts";
import { type BitRules, bitsText, hasBit, judgeBits } from "../../bit_rules.ts";
import { AS_SHOWN } from "../../evidence.ts";
import type { AmdAnchor } from "./amd_roots.ts";
import { checkVekChain, findCollateral, type VekChain, type VekKind } from "./chain.ts";
import type { SnpPayload } from "./payload.ts";
import type { SnpPolicy } from "./policy.ts";
import {
  GUEST_POLICY_BITS,
  PLATFORM_INFO_BITS,
  readReport,
  REPORT_DATA_BYTES,
  type SnpReport,
  unnamedPlatformBits,
  unnamedPolicyBits,
} from "./report.ts";
import { tcbText } from "./tcb.ts";
import { checkTcbs, readTcbs, type Tcbs, unnamedParts } from "./tcb_checks.ts";
import { lineOf } from "./vek.ts";
import { expectThat } from "./_expect_that.ts";

/** The values that a report is checked against. */
export interface SnpExpectation {
  /** A1 or A2, 32 bytes. The report data must be this and 32 zeros. */
  readonly statement: Uint8Array;
  /** D12: acceptable values of HOST_DATA, 32 bytes each. */
  readonly hostData: readonly Uint8Array[] | typeof AS_SHOWN;
  readonly policy: SnpPolicy;
  /** The source of documents that did not come with the evidence. */
  readonly collateral: Collateral;
  readonly anchors: readonly AmdAnchor[];
  /** The time of day. */
  readonly now: Date;
}

/** A report that passed every check except revocation. */
export interface Appraised {
  readonly report: SnpReport;
  /** The certificates that the report relies on. */
  readonly chain: VekChain;
  /** The facts that the report proves, for people and policies. */
  readonly facts: Readonly<Record<string, string>>;
  /** What the report shows and the policy has no rule for, as sentences without a full stop. */
  readonly remarks: readonly string[];
}

/** A host may mask the chip ID: then a report does not say which chip it is of. */
const MASKED = "The host masks the chip's ID (MASK_CHIP_ID)";
const UNMASK = "Have the host show the ID: SNP_CONFIG with MASK_CHIP_ID off, or sign with a VLEK, which names no chip";
const NO_MIGRATION_AGENT = "ff".repeat(32);

/**
 * Checks a report.
 *
 * @throws {BootstrapError} `refused/snp-…`, `malformed/snp-report`, `malformed/snp-tcb`, `malformed/der`.
 */
export async function appraise(evidence: SnpPayload, expected: SnpExpectation, checks: Checks): Promise<Appraised> {
  const { policy, collateral, anchors, now } = expected;
  const report = await checks.need("snp-report", () => readReport(evidence.report));
  const kind = await checks.need("snp-signing-key", () => signingKeyOf(report, policy));
  const certificate = await checks.need("snp-collateral", async () => {
    try {
      return await certificateOf(evidence, report, kind, collateral);
    } catch (error) {
      if (error instanceof CollateralWanted) await checkWithoutCertificate(report, expected);
      throw error;
    }
  });
  const chain = await checks.need(
    "snp-chain",
    () => checkVekChain(certificate, kind, evidence.authority, anchors, now),
  );
  await checks.run("snp-report-signature", "its signature", () => checkSignature(report, chain));
  const { product } = chain.anchor;
  checks.expectOneOf(
    "snp-product",
    product,
    [...policy.products.keys()],
    "The policy does not allow the processor's line",
  );
  if (report.processor !== undefined) {
    checks.expect("snp-processor", lineOf(report.processor), product, "The report is of another line of processors");
  }
  const tcbs = await checks.need("snp-tcb", () => readTcbs(report, product));
  await checkTcbs(tcbs, chain, policy, checks);
  await checkChip(report, chain, policy, checks);
  await checkGuest(report, policy, checks);
  const unnamed = [...report.unnamed, ...unnamedParts(tcbs)];
  await checkPlatform({ ...report, unnamed }, policy, checks);
  checkLaunch(report, expected, checks);
  return { report, chain, facts: factsOf(report, chain, tcbs), remarks: remarksOn({ ...report, unnamed }) };
}

/** Runs the checks that need no certificate, so that none is fetched for a report that fails anyway. */
async function checkWithoutCertificate(report: SnpReport, expected: SnpExpectation): Promise<void> {
  const { policy } = expected;
  const checks = createChecks();
  checkLaunch(report, expected, checks);
  await checkChipId(report, policy, checks);
  await checkGuest(report, policy, checks);
  await checkPlatform(report, policy, checks);
}

function signingKeyOf({ signingKey }: SnpReport, { signingKeys }: SnpPolicy): VekKind {
  if (signingKey !== "none" && signingKeys.includes(signingKey)) return signingKey;
  const message = "The report is signed by a kind of key that the policy does not allow";
  throw refusal("snp-signing-key", message, signingKeys.join(", "), signingKey);
}

/**
 * Finds the certificate of the key that signed a report, DER: in the evidence, or otherwise in the collateral.
 *
 * @throws {BootstrapError} `refused/snp-collateral`, which names the document.
 */
export async function certificateOf(
  { vek }: SnpPayload,
  report: SnpReport,
  kind: VekKind,
  collateral: Collateral,
): Promise<Uint8Array> {
  if (vek.length > 0) return vek;
  if (kind === "vcek" && isZero(report.chipId)) {
    throw maskedRefusal("the chip's ID, to find the certificate of its key");
  }
  const name = kind === "vcek" ? vcekName(report) : `amd-vlek-${hex(report.reportedTcb)}.der`;
  return (await findCollateral(name, collateral, "whose key signed the report")).bytes;
}

/** The refusal of a report that does not name its chip, where the chip matters. */
export function maskedRefusal(expected: string): BootstrapError {
  return refusal("snp-hardware-id", MASKED, expected, "zeros", UNMASK);
}

/** The name of the certificate of a chip's own key in the collateral. */
export function vcekName({ chipId, reportedTcb }: SnpReport): string {
  return `amd-vcek-${hex(chipId)}-${hex(reportedTcb)}.der`;
}

/**
 * Checks that the key of a certificate signed a report.
 *
 * @throws {BootstrapError} `refused/snp-report-signature`.
 */
export async function checkSignature({ signed, signature }: SnpReport, { vek }: VekChain): Promise<void> {
  const algorithm = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" } as const;
  if (await verifyWith(algorithm, vek.spki, signature, signed)) return;
  const message = "The report is not signed by the key of its certificate";
  throw refusal("snp-report-signature", message, "its signature", "another");
}

async function checkChip(report: SnpReport, chain: VekChain, policy: SnpPolicy, checks: Checks): Promise<void> {
  const { hardwareId, providerId } = chain.extensions;
  if (hardwareId !== undefined) {
    const named = hex(concat(hardwareId, new Uint8Array(report.chipId.length - hardwareId.length)));
    const message = isZero(report.chipId) ? MASKED : "The report is of another chip than its signing key";
    const next = isZero(report.chipId) ? UNMASK : "";
    await expectThat(checks, "snp-hardware-id", hex(report.chipId) === named, message, named, hex(report.chipId), next);
  }
  if (providerId !== undefined) {
    checks.expectOneOf(
      "snp-provider",
      providerId,
      policy.providers,
      "The report is signed for a cloud that the policy does not allow",
    );
  }
  await checkChipId(report, policy, checks);
}

async function checkChipId(report: SnpReport, policy: SnpPolicy, checks: Checks): Promise<void> {
  const chipId = hex(report.chipId);
  if (policy.chipIds !== undefined) {
    const message = isZero(report.chipId) ? MASKED : "The chip is not one that the policy names";
    const [holds, wanted] = [policy.chipIds.has(chipId), [...policy.chipIds].join(", ")];
    await expectThat(checks, "snp-chip-id", holds, message, wanted, chipId, isZero(report.chipId) ? UNMASK : "");
  }
  // A host may mask the chip ID if the signing key is not the chip's own. A masked chip may be a banned one.
  const isMasked = isZero(report.chipId) && policy.bannedChipIds.size > 0;
  const isBanned = isMasked || policy.bannedChipIds.has(chipId);
  const message = isMasked ? `${MASKED}, so it may be one that the policy bans` : "The policy bans the chip";
  const next = isMasked ? UNMASK : "";
  await expectThat(checks, "snp-banned-chip-id", !isBanned, message, "another chip", chipId, next);
}

async function checkGuest(report: SnpReport, policy: SnpPolicy, checks: Checks): Promise<void> {
  checks.expect("snp-vmpl", String(report.vmpl), "0", "The report was asked for at another privilege level");
  const isDebugged = hasBit(report.policy, GUEST_POLICY_BITS.debug);
  await expectThat(
    checks,
    "snp-debug",
    !isDebugged,
    "The host may debug the VM",
    "debug off",
    isDebugged ? "on" : "off",
  );
  const mayMigrate = hasBit(report.policy, GUEST_POLICY_BITS.migrationAgent) ||
    hex(report.migrationAgentId) !== NO_MIGRATION_AGENT;
  const agent = mayMigrate ? `migration agent ${hex(report.migrationAgentId)}` : "none";
  await expectThat(checks, "snp-migration-agent", !mayMigrate, "The VM may be migrated", "no migration agent", agent);
  const unnamed = unnamedPolicyBits(report.policy);
  await checkBits("snp-guest-policy", report.policy, unnamed, GUEST_POLICY_BITS, policy.guestPolicy, checks);
  checkKey("snp-id-key", report.idKeyDigest, policy.idKeys, "The VM was launched with another ID key", checks);
  const authorKey = report.hasAuthorKey ? report.authorKeyDigest : new Uint8Array(report.authorKeyDigest.length);
  checkKey("snp-author-key", authorKey, policy.authorKeys, "The VM's ID key is by another author", checks);
}

async function checkPlatform(
  { platformInfo, unnamed }: SnpReport,
  { platformInfo: rules, requiresZeroReserved = false }: SnpPolicy,
  checks: Checks,
): Promise<void> {
  const bits = unnamedPlatformBits(platformInfo);
  await checkBits("snp-platform-info", platformInfo, bits, PLATFORM_INFO_BITS, rules, checks);
  if (!requiresZeroReserved) return;
  const bytes = unnamed.filter((text) => !/^(?:guest policy|platform info) /.test(text)).join(", ");
  const message = "The report uses reserved bits or bytes, which the policy does not allow";
  await expectThat(checks, "snp-reserved", bytes === "", message, "zeros", bytes);
}

function checkKey(
  check: RefusalCheck,
  digest: Uint8Array,
  allowed: readonly Uint8Array[] | undefined,
  message: string,
  checks: Checks,
): void {
  if (allowed === undefined) return;
  checks.expectOneOf(check, isZero(digest) ? "none" : hex(digest), allowed.map(hex), message);
}

function checkLaunch(report: SnpReport, { statement, hostData, policy }: SnpExpectation, checks: Checks): void {
  const { measurements } = policy;
  const otherImage = "The VM was launched from another image";
  checks.expectOneOf("snp-measurement", hex(report.measurement), measurements.map(hex), otherImage);
  const otherTrust = "HOST_DATA is not the digest of the configuration's trust part";
  const allowed = hostData === AS_SHOWN ? [report.hostData] : hostData;
  checks.expectOneOf("snp-host-data", hex(report.hostData), allowed.map(hex), otherTrust);
  const wanted = concat(statement, new Uint8Array(REPORT_DATA_BYTES - statement.length));
  checks.expect("snp-report-data", hex(report.reportData), hex(wanted), "The report was made for another connection");
}

function checkBits<Name extends string>(
  check: RefusalCheck,
  value: bigint,
  unnamed: readonly number[],
  numbers: Readonly<Record<Name, number>>,
  rules: BitRules<Name>,
  checks: Checks,
): Promise<void> {
  const { wrong, wanted, seen } = judgeBits(value, unnamed, numbers, rules);
  return expectThat(checks, check, wrong === "", `Bits differ from the policy: ${wrong}`, wanted, seen);
}

function remarksOn({ chipId, unnamed }: SnpReport): readonly string[] {
  return [
    ...(unnamed.length === 0 ? [] : [
      `The report has ${unnamed.join(", ")}, for which this version has no name; the processor signed them, and ` +
      "snp.guestPolicy, snp.platformInfo and snp.requiresZeroReserved can refuse them",
    ]),
    ...(isZero(chipId) ? [`${MASKED}, so the report does not say which chip it is of`] : []),
  ];
}

function factsOf(report: SnpReport, { anchor, kind, extensions }: VekChain, tcbs: Tcbs): Record<string, string> {
  return {
    product: anchor.product,
    signingKey: kind,
    ...(extensions.providerId === undefined ? {} : { provider: extensions.providerId }),
    chipId: hex(report.chipId),
    reportedTcb: tcbText(tcbs.reported),
    currentTcb: tcbText(tcbs.current),
    committedTcb: tcbText(tcbs.committed),
    launchTcb: tcbText(tcbs.launch),
    measurement: hex(report.measurement),
    hostData: hex(report.hostData),
    idKey: hex(report.idKeyDigest),
    authorKey: hex(report.authorKeyDigest),
    guestSvn: String(report.guestSvn),
    guestPolicy: bitsText(report.policy, unnamedPolicyBits(report.policy), GUEST_POLICY_BITS),
    platformInfo: bitsText(report.platformInfo, unnamedPlatformBits(report.platformInfo), PLATFORM_INFO_BITS),
  };
}
