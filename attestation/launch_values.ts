/**
 * The values in which machines show the trust part of their configuration. For a confidential VM, the host sets the
 * value at launch.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { trustDigest } from "../protocol/transcript.ts";
import type { EvidenceKind } from "./kind.ts";
import { KINDS } from "./kinds.ts";

/** The form in which a kind of machine shows D12. */
export interface LaunchValue {
  /** Its name in output: `pcr12`, `hostData`, `mrConfigId`. */
  readonly key: string;
  /** Whether the host sets the value at launch. The bootstrapper itself measures the others. */
  readonly isLaunchValue: boolean;
  readonly value: Bytes;
}

/** Returns the value of a trust part for each kind that shows it. */
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
