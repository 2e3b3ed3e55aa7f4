/**
 * TEE_TCB_SVN: the 16 security versions of a TDX platform. The first two are the module's SVN and major version. The
 * module's SVN starts again with each major version, so the two count as one number.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";

const MODULE_SVNS = 2;

/** Tells whether no part of a TEE_TCB_SVN is below the same part of a minimum. */
export function reachesMinimum(seen: Uint8Array, minimum: Uint8Array): boolean {
  return seen.length === minimum.length && moduleOf(seen) >= moduleOf(minimum) &&
    minimum.every((svn, index) => index < MODULE_SVNS || (seen[index] ?? -1) >= svn);
}

/** Computes the highest minimum that one or more TEE_TCB_SVNs all reach. */
export function lowestTeeTcbSvn(first: Uint8Array, ...others: readonly Uint8Array[]): Bytes {
  const all = [first, ...others];
  const module = Math.min(...all.map(moduleOf));
  return Uint8Array.from(first, (_, index) => {
    if (index < MODULE_SVNS) return index === 0 ? module & 0xff : module >> 8;
    return Math.min(...all.map((svns) => svns[index] ?? 0));
  });
}

function moduleOf(svns: Uint8Array): number {
  return (svns[1] ?? 0) * 256 + (svns[0] ?? 0);
}
