import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, collateralInOrder } from "../attestation/collateral.ts";
import { collateralCache } from "../attestation/collateral_cache.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import type { Clock } from "../platform/clock.ts";
import { present } from "../platform/present.ts";

/**
 * Returns a policy's sources of collateral, in the order in which they are searched.
 *
 * @param fetch Fetches documents. Default: this process itself.
 */
export function collateralOf(
  { collateral: { folder, cache } }: Pick<Policy, "collateral">,
  clock: Clock,
  fetch?: typeof globalThis.fetch,
): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralCache(cache, { clock, ...present("fetch", fetch) })]),
  );
}
