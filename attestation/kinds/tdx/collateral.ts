/**
 * Collateral: Intel's documents about platforms, which a quote does not carry.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { Collateral } from "../../collateral.ts";
import { findAll } from "../../collateral_wanted.ts";
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

/** The parts that list what Intel has revoked. */
const REVOCATION_LISTS: readonly CollateralPart[] = ["pckCrl", "rootCrl"];

/** The name of one part. */
export type CollateralPart = typeof COLLATERAL_PARTS[number];

/**
 * All parts, as Intel's service gives them. `tcbInfo` and `qeIdentity` are the JSON of its answers. The chains are the
 * PEM of the issuer-chain headers, URL-decoded. The CRLs are DER.
 */
export type TdxCollateral = Readonly<Record<CollateralPart, Uint8Array>>;

/** The platform properties that decide which documents are needed. */
export interface CollateralNeed {
  /** 12 hexadecimal digits, lower case. */
  readonly fmspc: string;
  /** The authority of the platform's PCK certificate. */
  readonly pckCa: PckCa;
}

/** The file name of a part of a platform's collateral. */
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
      return crlNames(pckCa).pck;
    case "rootCrl":
      return crlNames(pckCa).root;
  }
}

/** The file names of the revocation lists for a platform whose PCK certificate is of this authority. */
export function crlNames(pckCa: PckCa): { readonly root: string; readonly pck: string } {
  return { root: "tdx-root.crl", pck: `tdx-pck-${pckCa}.crl` };
}

/**
 * Gathers all parts. Each part comes from the evidence, or otherwise from `collateral`. Revocation lists come from
 * `collateral` first.
 *
 * @param own The parts that came with the evidence.
 * @param collateral The source of revocation lists, and of missing parts.
 * @param need The platform.
 * @throws {BootstrapError} `refused/tdx-collateral-missing`, which names the document; and the errors of `collateral`.
 */
export async function completeCollateral(
  own: Partial<TdxCollateral>,
  collateral: Collateral,
  need: CollateralNeed,
): Promise<TdxCollateral> {
  const entries = await findAll(COLLATERAL_PARTS.map(async (part) => {
    const name = collateralName(part, need);
    // A revoked machine would bring an older list, so its own list is used only if this side has none.
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
  const message = `Intel's document about the machine is missing: ${name}`;
  const next = `Put ${name} from Intel's Provisioning Certification Service into ${collateral.place}`;
  throw refusal("tdx-collateral-missing", message, name, "nothing", next);
}
