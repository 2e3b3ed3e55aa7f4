/**
 * What an editor shows of the keys of a policy's Intel TDX section.
 *
 * @module
 */
import type { SectionTexts } from "../../kind.ts";

/** By the key's path in the section; the empty one is the section itself. */
export const TDX_TEXTS: SectionTexts = {
  "": "What Intel's TDX module must say. Required for the variant tdx.",
  "mrtd": "Allowed values of MRTD, 96 hexadecimal digits.",
  "rtmr0": "Allowed values of RTMR 0.",
  "rtmr1": "Allowed values of RTMR 1.",
  "rtmr2": "Allowed values of RTMR 2.",
  "tcbStatuses": "The statuses of a platform's TCB that are let in.",
  "attributes": "Rules for the bits of the TD's attributes: names, or numbers from 0.",
  "xfam": "Rules for the bits of XFAM: names, or numbers from 0.",
  "minimumTeeTcbSvn": "The oldest TDX module, as TEE_TCB_SVN: 32 hexadecimal digits.",
  "minimumEvaluation": "The oldest evaluation of Intel's TCB information.",
  "platforms": "The only platforms that are let in, by their PPIDs.",
  "bannedPlatforms": "Platforms that are never let in.",
};
