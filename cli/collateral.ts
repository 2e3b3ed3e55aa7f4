import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, collateralInOrder } from "../attestation/collateral.ts";
import { collateralCache } from "../attestation/collateral_cache.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import type { Clock } from "../platform/clock.ts";

/** Where a policy has collateral looked for, in that order. */
export function collateralOf({ collateral: { folder, cache } }: Pick<Policy, "collateral">, clock: Clock): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralCache(cache, { clock })]),
  );
}
