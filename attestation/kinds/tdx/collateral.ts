/**
 * What Intel says of platforms in general, and a quote does not carry.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { Collateral } from "../../collateral.ts";
import type { PckCa } from "./intel_chain.ts";

/** The parts, in the order of their encoding. */
export const COLLATERAL_PARTS = [
  "tcbInfo",
  "tcbInfoChain",
  "qeIdentity",
  "qeIdentityChain",
  "pckCrl",
  "rootCrl",
] as const;

/** Those that say what Intel has revoked. */
const REVOCATION_LISTS: readonly CollateralPart[] = ["pckCrl", "rootCrl"];

/** One part. */
export type CollateralPart = typeof COLLATERAL_PARTS[number];

/**
 * All parts, as Intel's service gives them: `tcbInfo` and `qeIdentity` are the JSON of its answers, the chains the PEM of their
 * issuer-chain headers, URL-decoded; the CRLs are DER.
 */
export type TdxCollateral = Readonly<Record<CollateralPart, Uint8Array>>;

/** What decides which documents a platform needs. */
export interface CollateralNeed {
  /** 12 hexadecimal digits, lower case. */
  readonly fmspc: string;
  /** The authority of its PCK certificate. */
  readonly pckCa: PckCa;
}

/** The name of the document that is a part of a platform's collateral. */
export function collateralName(part: CollateralPart, { fmspc, pckCa }: CollateralNeed): string {
  switch (part) {
    case "tcbInfo":
      return `tdx-tcb-info-${fmspc}.json`;
    case "tcbInfoChain":
      return `tdx-tcb-info-${fmspc}.pem`;
    case "qeIdentity":
      return "tdx-qe-identity.json";
    case "qeIdentityChain":
      return "tdx-qe-identity.pem";
    case "pckCrl":
      return `tdx-pck-${pckCa}.crl`;
    case "rootCrl":
      return "tdx-root.crl";
  }
}

/**
 * All parts: each from the evidence, or from where documents are kept; revocation lists the other way round.
 *
 * @param own What came with the evidence.
 * @param collateral Asked for revocation lists, and for what is missing.
 * @param need The platform.
 * @throws {BootstrapError} `refused/tdx-collateral-missing`, naming the document; and what `collateral` throws.
 */
export async function completeCollateral(
  own: Partial<TdxCollateral>,
  collateral: Collateral,
  need: CollateralNeed,
): Promise<TdxCollateral> {
  const entries = await Promise.all(COLLATERAL_PARTS.map(async (part) => {
    const name = collateralName(part, need);
    // A machine that was revoked would bring the list of before: its list counts only where this side has none.
    if (REVOCATION_LISTS.includes(part)) {
      const known = (await collateral.find(name))?.bytes ?? own[part];
      return [part, known ?? await find(collateral, name)] as const;
    }
    return [part, own[part] ?? await find(collateral, name)] as const;
  }));
  return Object.fromEntries(entries) as TdxCollateral;
}

async function find(collateral: Collateral, name: string): Promise<Uint8Array> {
  const found = await collateral.find(name);
  if (found !== undefined) return found.bytes;
  const message = `What Intel says of the machine is missing: ${name}`;
  const next = `Put ${name} from Intel's Provisioning Certification Service into ${collateral.place}`;
  throw refusal("tdx-collateral-missing", message, name, "nothing", next);
}
