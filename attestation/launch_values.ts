/**
 * What a machine shows of its configuration's trust part. A confidential VM gets it at its launch.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { trustDigest } from "../protocol/transcript.ts";
import type { EvidenceKind } from "./kind.ts";
import { KINDS } from "./kinds.ts";

/** D12 as a kind of machine shows it. */
export interface LaunchValue {
  /** Its name in output: `pcr12`, `hostData`, `mrConfigId`. */
  readonly key: string;
  /** Whether the host gives it at the launch; the bootstrapper itself measures the others. */
  readonly isLaunchValue: boolean;
  readonly value: Bytes;
}

/** The values of a trust part, of each kind that shows it. */
export async function launchValues(
  trust: TrustPart,
  kinds: readonly EvidenceKind[] = KINDS,
): Promise<readonly LaunchValue[]> {
  const digest = await trustDigest(trust);
  return await Promise.all(
    kinds.flatMap(({ registers }) => registers === undefined ? [] : [registers.trust]).map(
      async ({ key, isLaunchValue, valueOf }) => ({ key, isLaunchValue, value: await valueOf(digest) }),
    ),
  );
}
