/**
 * The facts in a TD's evidence that do not go into a policy, for people who make policies.
 *
 * @module
 */
import { hex } from "../../../platform/bytes.ts";
import type { EvidenceFacts } from "../../kind.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readQuote } from "./quote.ts";
import { TDX_LOCK_REGISTER } from "./rtmr.ts";

/** Returns RTMR 0 to 3 of a TD's evidence. @throws {BootstrapError} `malformed/…`. */
export function tdxRegisters(bytes: Uint8Array): readonly Uint8Array[] {
  return readQuote(decodeTdxPayload(bytes).quote).report.rtmrs;
}

/** Reads the facts from a TD's evidence. @throws {BootstrapError} `malformed/…`. */
export function tdxFacts(bytes: Uint8Array): EvidenceFacts {
  const { mrtd, rtmrs, mrConfigId, teeTcbSvn } = readQuote(decodeTdxPayload(bytes).quote).report;
  return {
    facts: {
      mrtd: hex(mrtd),
      rtmrs: rtmrs.map(hex),
      mrConfigId: hex(mrConfigId),
      teeTcbSvn: hex(teeTcbSvn),
    },
    remarks: [
      "",
      `MRCONFIGID, which no policy names: ${hex(mrConfigId)}`,
      `RTMR ${TDX_LOCK_REGISTER}, which no policy names: ${hex(rtmrs[TDX_LOCK_REGISTER])}`,
    ],
  };
}
