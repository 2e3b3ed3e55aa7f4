import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, collateralInOrder } from "../attestation/collateral.ts";
import { collateralAtHand } from "../attestation/collateral_wanted.ts";
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

/**
 * Returns a policy's sources for a service: documents of the cache are fetched by another process, and only when the
 * service says so.
 *
 * @param fetch Fetches documents.
 */
export function serviceCollateralOf(
  { collateral: { folder, cache } }: Pick<Policy, "collateral">,
  clock: Clock,
  fetch: typeof globalThis.fetch,
): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralAtHand(collateralCache(cache, { clock, fetch }))]),
  );
}
