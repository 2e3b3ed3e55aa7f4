/**
 * Valid evidence of a software TD, a policy that accepts it, and what tests change of both.
 *
 * @module
 */
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, fromHex } from "../../../../platform/bytes.ts";
import type { Collateral } from "../../../collateral.ts";
import type { EvidenceCheck, Expectation } from "../../../evidence.ts";
import { FRESH } from "../../../evidence.ts";
import type { TdxCollateral } from "../collateral.ts";
import { encodeTdxPayload } from "../payload.ts";
import type { TdxPolicy } from "../policy.ts";
import { padded } from "../rtmr.ts";
import { filled } from "./tdx.ts";
import { NOW } from "./der.ts";
import { type CollateralLies, createSoftwareIntel, type QuoteLies } from "./intel.ts";
import { createTdxVerifier } from "../verifier.ts";

export const intel = createSoftwareIntel();
export const STATEMENT = filled(32, 0xa1);
/** What the node measured of its configuration, and of its lock. */
export const D12 = filled(32, 0x12);
export const D15 = filled(32, 0x15);
export const IDENTITY = "1d".repeat(32);
export const PPID = "11".repeat(16);

export const expectation: Expectation = {
  trust: [D12],
  lock: [FRESH],
  identity: IDENTITY,
};

/** Accepts {@linkcode rightQuote}. */
export const policy: TdxPolicy = {
  mrtd: [filled(48, 0xa0)],
  rtmr0: [filled(48, 0xb0)],
  rtmr1: [filled(48, 0xff), filled(48, 0xb1)],
  rtmr2: [filled(48, 0xb2)],
  tcbStatuses: ["UpToDate"],
  minimumTeeTcbSvn: filled(16, 0),
  minimumEvaluation: 0,
  bannedPlatforms: new Set(),
};

export const rightQuote: QuoteLies = {
  reportData: concat(STATEMENT, new Uint8Array(32)),
  mrConfigId: padded(D12),
};

/** A place without documents. */
export const nowhere: Collateral = { place: "nowhere", find: () => Promise.resolve(undefined) };

/** The differences from valid evidence. */
export interface Case {
  readonly quote?: QuoteLies;
  readonly collateral?: CollateralLies;
  readonly own?: (collateral: TdxCollateral) => Partial<TdxCollateral>;
  readonly policy?: Partial<TdxPolicy>;
  readonly expectation?: Partial<Expectation>;
  readonly statement?: Bytes;
  readonly now?: Date;
  readonly report?: (check: EvidenceCheck) => void;
}

/** Makes evidence with the differences, and verifies it. */
export async function verify(different: Case = {}) {
  const quote = await intel.quote({ ...rightQuote, ...different.quote });
  const { own = (all) => all, now = NOW, report, statement = STATEMENT } = different;
  const payload = encodeTdxPayload({ quote, collateral: own(intel.collateral(different.collateral)) });
  const verifier = createTdxVerifier({ ...policy, ...different.policy }, nowhere, () => now, intel.anchor);
  return await verifier.verify(
    { variant: "tdx", payload },
    statement,
    { ...expectation, ...different.expectation },
    report,
  );
}

/** Reads the first SVNs of a TEE TCB; the others are zero. */
export function svns(hexadecimal: string): Bytes {
  return fromHex(hexadecimal.padEnd(32, "0"), "SVNs");
}

/** TCB info that names no TDX module. */
export const NO_MODULES = { tcbInfo: { tdxModuleIdentities: [] } };
/** Returns the expected registers, but one of them. */
export const rtmrsBut = (index: number) =>
  [0xb0, 0xb1, 0xb2, 0].map((value, i) => filled(48, i === index ? 0xee : value));
