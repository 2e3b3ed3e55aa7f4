import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, NO_COLLATERAL } from "../attestation/collateral.ts";
import type { Policy } from "../attestation/policy.ts";

/** Where a policy has collateral looked for. */
export function collateralOf({ collateral: { folder } }: Pick<Policy, "collateral">): Collateral {
  return folder === undefined ? NO_COLLATERAL : collateralFolder(folder);
}
