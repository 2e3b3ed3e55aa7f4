/**
 * What a machine shows of its configuration's trust part, which whoever launches a confidential VM gives it.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { padded } from "./kinds/tdx/rtmr.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { extendedOnce, trustDigest } from "../protocol/transcript.ts";

/** D12 as each kind of machine shows it. */
export interface LaunchValues {
  /** PCR 12, 32 bytes: D12 extended once, which the bootstrapper itself does. */
  readonly pcr12: Bytes;
  /** HOST_DATA of SEV-SNP, 32 bytes: D12. */
  readonly hostData: Bytes;
  /** MRCONFIGID of TDX, 48 bytes: D12 and 16 zero bytes. */
  readonly mrConfigId: Bytes;
}

/** The values of a trust part. */
export async function launchValues(trust: TrustPart): Promise<LaunchValues> {
  const digest = await trustDigest(trust);
  return { pcr12: await extendedOnce(digest), hostData: digest, mrConfigId: padded(digest) };
}
