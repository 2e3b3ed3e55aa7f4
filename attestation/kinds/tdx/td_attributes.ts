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
import type { TdxPolicy } from "./policy.ts";
import { type BitRules, hasBit, judgeBits, setBits } from "../../bit_rules.ts";
import { present } from "../../../platform/present.ts";
import type { TdReport } from "./quote.ts";
import {
  ATTRIBUTE_BITS,
  DANGEROUS_ATTRIBUTES,
  FIRST_HARMLESS_ATTRIBUTE,
  FIXED_FEATURES,
  UNDER_DEBUG_BITS,
  XFAM_BITS,
} from "./td_bits.ts";

const NO_SERVICE_TD = new Uint8Array(48);
const NO_RULES: BitRules<never> = { required: [], forbidden: [] };

/**
 * Checks that a TD is not under debug, that the host cannot take pages from it unnoticed, that no attribute is on that
 * may weaken it, and what the policy wants besides.
 *
 * An attribute without a name below {@linkcode FIRST_HARMLESS_ATTRIBUTE} may weaken the TD, as Intel says of that group,
 * so a policy must allow it. Other bits without a name are shown, and refused only where the policy says so.
 *
 * @returns Remarks on bits without a name, as sentences without a full stop.
 * @throws {BootstrapError} `refused/tdx-debug`, `refused/tdx-sept-ve-disable`, `refused/tdx-attributes`, `refused/tdx-xfam`,
 *   `refused/tdx-service-td`.
 */
export async function checkTdAttributes(
  { tdAttributes, xfam, current }: TdReport,
  policy: Pick<TdxPolicy, "attributes" | "xfam">,
  checks: Checks,
): Promise<readonly string[]> {
  const expectThat = (
    check: RefusalCheck,
    seen: string,
    holds: boolean,
    expected: string,
    message: string,
    next = "",
  ) =>
    checks.run(check, seen, () => {
      return holds ? Promise.resolve() : Promise.reject(refusal(check, message, expected, seen, next));
    });
  const unnamed = unnamedIn(tdAttributes, ATTRIBUTE_BITS).filter((bit) => bit >= UNDER_DEBUG_BITS);
  const debug = setBits(tdAttributes).filter((bit) => bit < UNDER_DEBUG_BITS);
  await expectThat(
    "tdx-debug",
    debug.map((bit) => `bit ${bit}`).join(", ") || "off",
    debug.length === 0,
    "bits 0 to 7 off",
    "The host can debug the TD, and so read its memory",
  );
  const attributes: BitRules<keyof typeof ATTRIBUTE_BITS> = policy.attributes ?? NO_RULES;
  const { wrong, wanted, seen } = judgeBits(tdAttributes, unnamed, ATTRIBUTE_BITS, {
    ...attributes,
    // A check of its own requires it, so that it may be set.
    ...present("allowed", attributes.allowed === undefined ? undefined : ["septVeDisable", ...attributes.allowed]),
  });
  await expectThat(
    "tdx-sept-ve-disable",
    seen,
    hasBit(tdAttributes, ATTRIBUTE_BITS.septVeDisable),
    "septVeDisable (bit 28) on",
    "The host can take pages from the TD unnoticed",
  );
  const dangerous = DANGEROUS_ATTRIBUTES.filter((name) => hasBit(tdAttributes, ATTRIBUTE_BITS[name]));
  const told: readonly unknown[] = [...attributes.required, ...attributes.allowed ?? []];
  const untold = unnamed.filter((bit) => bit < FIRST_HARMLESS_ATTRIBUTE && !told.includes(bit));
  const problems = [
    ...(dangerous.length === 0 ? [] : [`The TD has the attribute ${dangerous.join(", ")}, which gives it to others`]),
    ...(untold.length === 0 ? [] : [
      `The TD has the attribute ${
        untold.map((bit) => `bit ${bit}`).join(", ")
      }, which has no name here and may weaken it`,
    ]),
    ...(wrong === "" ? [] : [`Attributes differ from the policy: ${wrong}`]),
  ];
  await expectThat(
    "tdx-attributes",
    seen,
    problems.length === 0,
    [...DANGEROUS_ATTRIBUTES.map((name) => `not ${name}`), wanted].join(", "),
    problems.join("; "),
    untold.length === 0 ? "" : "If you know what the bit means and accept it, list it in tdx.attributes.allowed",
  );
  const unnamedFeatures = unnamedIn(xfam, XFAM_BITS);
  const { allowed, ...rules }: BitRules<keyof typeof XFAM_BITS> = policy.xfam ?? NO_RULES;
  const features = judgeBits(xfam, unnamedFeatures, XFAM_BITS, {
    ...rules,
    required: [...FIXED_FEATURES, ...rules.required],
    ...present("allowed", allowed),
  });
  const otherFeatures = `The TD's extended features differ: ${features.wrong}`;
  await expectThat("tdx-xfam", features.seen, features.wrong === "", features.wanted, otherFeatures);
  const serviceTd = hex(current?.mrServiceTd ?? NO_SERVICE_TD);
  checks.expect("tdx-service-td", serviceTd, hex(NO_SERVICE_TD), "A service TD has power over the TD");
  const shown = [
    ...unnamed.map((bit) => `attribute bit ${bit}`),
    ...unnamedFeatures.map((bit) => `extended feature bit ${bit}`),
  ];
  return shown.length === 0 ? [] : [
    `The TD has ${shown.join(", ")}, for which this version has no name; the platform signed them, and ` +
    "tdx.attributes and tdx.xfam can refuse them",
  ];
}

function unnamedIn(value: bigint, names: Readonly<Record<string, number>>): readonly number[] {
  const known = Object.values(names);
  return setBits(value).filter((bit) => !known.includes(bit));
}
