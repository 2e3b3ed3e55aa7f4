import type { Collateral } from "../attestation/collateral.ts";
import { collateralFolder, collateralInOrder, MAXIMUM_COLLATERAL_BYTES } from "../attestation/collateral.ts";
import { collateralAtHand } from "../attestation/collateral_wanted.ts";
import { collateralCache } from "../attestation/collateral_cache.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import type { Clock } from "../platform/clock.ts";
import type { FetchDocument } from "../platform/fetch_document.ts";
import { documentClient } from "../platform/fetch_document.ts";

/** Returns a policy's sources of collateral, in the order in which they are searched. */
export function collateralOf({ collateral: { folder, cache } }: Pick<Policy, "collateral">, clock: Clock): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralCache(cache, { clock, fetch: fetchCollateral(clock) })]),
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
  fetch: FetchDocument,
): Collateral {
  return collateralInOrder(
    ...(folder === undefined ? [] : [collateralFolder(folder)]),
    ...(cache === undefined ? [] : [collateralAtHand(collateralCache(cache, { clock, fetch }))]),
  );
}

function fetchCollateral(clock: Clock): FetchDocument {
  return documentClient({ maximumBytes: MAXIMUM_COLLATERAL_BYTES, clock }).fetch;
}
