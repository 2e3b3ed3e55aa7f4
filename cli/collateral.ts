import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, collateralInOrder } from "../attestation/collateral.ts";
import { collateralCache } from "../attestation/collateral_cache.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import type { Clock } from "../platform/clock.ts";

/** Returns a policy's sources of collateral, in the order in which they are searched. */
export function collateralOf({ collateral: { folder, cache } }: Pick<Policy, "collateral">, clock: Clock): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralCache(cache, { clock })]),
  );
}
