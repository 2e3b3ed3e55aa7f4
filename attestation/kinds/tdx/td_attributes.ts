/**
 * TDATTRIBUTES and XFAM: the features that the host may have enabled in a TD (Intel TDX Module Base Architecture and
 * ABI Specifications, TDATTRIBUTES, XFAM).
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import { hex } from "../../../platform/bytes.ts";
import type { Checks } from "../../checks.ts";
import type { TdReport } from "./quote.ts";

/** The bits of the group TUD; DEBUG is bit 0. Any of them exposes the TD to observation. */
const UNDER_DEBUG = 0xffn;
const SEPT_VE_DISABLE = 1n << 28n;
/**
 * LASS, SEPT_VE_DISABLE, PKS, KL, PERFMON. Not allowed are MIGRATABLE (29), which lets the TD move to another platform,
 * TPA (62), and reserved bits.
 */
const ALLOWED_ATTRIBUTES = 1n << 27n | SEPT_VE_DISABLE | 1n << 30n | 1n << 31n | 1n << 63n;
/** x87 and SSE, which every TD has. */
const FIXED_XFAM = 0x3n;
/** x87, SSE, AVX, AVX-512, PT, PKRU, CET, ULI, LBR, AMX: all features of TDX 1.0 and 1.5. */
const ALLOWED_XFAM = 0x6dbe7n;
const NO_SERVICE_TD = new Uint8Array(48);

/**
 * Checks that a TD is not under debug, that the host cannot take pages from it unnoticed, and that no unknown feature
 * is enabled.
 *
 * @throws {BootstrapError} `refused/tdx-debug`, `refused/tdx-sept-ve-disable`, `refused/tdx-attributes`, `refused/tdx-xfam`,
 *   `refused/tdx-service-td`.
 */
export async function checkTdAttributes({ tdAttributes, xfam, current }: TdReport, checks: Checks): Promise<void> {
  const expectBits = (check: RefusalCheck, seen: bigint, holds: boolean, expected: string, message: string) =>
    checks.run(check, bitsText(seen), () => {
      return holds ? Promise.resolve() : Promise.reject(refusal(check, message, expected, bitsText(seen)));
    });
  await expectBits(
    "tdx-debug",
    tdAttributes,
    (tdAttributes & UNDER_DEBUG) === 0n,
    "bits 0 to 7 off",
    "The host can debug the TD, and so read its memory",
  );
  await expectBits(
    "tdx-sept-ve-disable",
    tdAttributes,
    (tdAttributes & SEPT_VE_DISABLE) !== 0n,
    "bit 28 on",
    "The host can take pages from the TD unnoticed",
  );
  await expectBits(
    "tdx-attributes",
    tdAttributes,
    (tdAttributes & ~(ALLOWED_ATTRIBUTES | UNDER_DEBUG)) === 0n,
    `nothing but ${bitsText(ALLOWED_ATTRIBUTES)}`,
    "The TD is migratable, or has attributes that are reserved",
  );
  await expectBits(
    "tdx-xfam",
    xfam,
    (xfam & FIXED_XFAM) === FIXED_XFAM && (xfam & ~ALLOWED_XFAM) === 0n,
    `${bitsText(FIXED_XFAM)}, and of the rest nothing but ${bitsText(ALLOWED_XFAM)}`,
    "The TD has extended features that are reserved",
  );
  const serviceTd = hex(current?.mrServiceTd ?? NO_SERVICE_TD);
  checks.expect("tdx-service-td", serviceTd, hex(NO_SERVICE_TD), "A service TD has power over the TD");
}

function bitsText(bits: bigint): string {
  return bits.toString(16).padStart(16, "0");
}
