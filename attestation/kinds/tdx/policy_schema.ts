/**
 * The schema of a policy's Intel TDX section.
 *
 * @module
 */
import * as v from "valibot";
import type { DocumentSchema } from "../../../platform/document.ts";
import { bansOf, bitsOf, bytesOf, hexOf, listOf, type Part, setOf } from "../../policy/_policy_parts.ts";
import type { TdxPolicy } from "./policy.ts";
import { DEFAULT_TCB_STATUSES } from "./policy.ts";
import { TDX_REGISTER_BYTES } from "./rtmr.ts";
import { ATTRIBUTE_BITS, DANGEROUS_ATTRIBUTES, FIXED_FEATURES, UNDER_DEBUG_BITS, XFAM_BITS } from "./td_bits.ts";
import { TCB_STATUSES } from "./tcb_status.ts";

const TEE_TCB_SVN_BYTES = 16;
const PPID_BYTES = 16;

const register = listOf(bytesOf(TDX_REGISTER_BYTES, "the value of a register"));
const platform = hexOf(PPID_BYTES, "a PPID");
const allowable = TCB_STATUSES.filter((status) => status !== "Revoked");

function isNeverAllowed(bit: number | keyof typeof ATTRIBUTE_BITS): boolean {
  return typeof bit === "number" ? bit < UNDER_DEBUG_BITS : DANGEROUS_ATTRIBUTES.includes(bit);
}

/** The schema of `tdx`. */
export const tdxPolicySchema: DocumentSchema<TdxPolicy> = v.strictObject({
  mrtd: register,
  rtmr0: v.exactOptional(register),
  rtmr1: register,
  rtmr2: register,
  tcbStatuses: v.optional(listOf(v.picklist(allowable)), [...DEFAULT_TCB_STATUSES]),
  attributes: v.exactOptional(v.pipe(
    bitsOf(ATTRIBUTE_BITS),
    v.check(
      ({ forbidden }) => !forbidden.includes("septVeDisable"),
      "forbids septVeDisable, without which every TD is refused",
    ),
    v.check(
      ({ required, allowed = [] }) => ![...required, ...allowed].some(isNeverAllowed),
      `requires or allows a bit that is always refused: 0 to ${UNDER_DEBUG_BITS - 1}, ${
        DANGEROUS_ATTRIBUTES.join(", ")
      }`,
    ),
  )),
  xfam: v.exactOptional(v.pipe(
    bitsOf(XFAM_BITS),
    v.check(
      ({ forbidden }) => !FIXED_FEATURES.some((name) => forbidden.includes(name)),
      `forbids ${FIXED_FEATURES.join(" or ")}, which every TD has`,
    ),
  )),
  minimumTeeTcbSvn: bytesOf(TEE_TCB_SVN_BYTES, "a TEE_TCB_SVN"),
  minimumEvaluation: v.pipe(v.number(), v.integer("must be whole"), v.minValue(1, "must be 1 or more")),
  platforms: v.exactOptional(setOf(platform)),
  bannedPlatforms: v.optional(bansOf(platform), []),
}) as Part<TdxPolicy>;
