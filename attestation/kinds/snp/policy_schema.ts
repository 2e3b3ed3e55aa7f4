/**
 * The schema of a policy's SEV-SNP section.
 *
 * @module
 */
import * as v from "valibot";
import type { DocumentSchema } from "../../../platform/document.ts";
import { bansOf, bitsOf, bytesOf, hexOf, listOf, type Part, setOf } from "../../policy/_policy_parts.ts";
import type { Product } from "./amd_roots.ts";
import { PRODUCTS } from "./amd_roots.ts";
import type { SnpPolicy, TcbRules } from "./policy.ts";
import { GUEST_POLICY_BITS, PLATFORM_INFO_BITS } from "./report.ts";

const SHA384_BYTES = 48;
const CHIP_ID_BYTES = 64;

const svn = v.pipe(v.number(), v.integer("must be whole"), v.minValue(0), v.maxValue(255));
const tcb = v.strictObject({
  fmc: v.exactOptional(svn),
  bootloader: svn,
  tee: svn,
  snp: svn,
  microcode: svn,
});
const rules = v.strictObject({ minimumTcb: tcb, minimumLaunchTcb: tcb });

const products = v.pipe(
  v.strictObject({ milan: v.exactOptional(rules), genoa: v.exactOptional(rules), turin: v.exactOptional(rules) }),
  v.transform((entries): ReadonlyMap<Product, TcbRules> =>
    new Map(PRODUCTS.flatMap((product) => {
      const found = entries[product];
      return found === undefined ? [] : [[product, found] as const];
    }))
  ),
  v.check((map) => map.size > 0, "must name at least one line of processors"),
  v.check(
    (map) =>
      [...map].every(([product, { minimumTcb, minimumLaunchTcb }]) =>
        [minimumTcb, minimumLaunchTcb].every(({ fmc }) => (fmc !== undefined) === (product === "turin"))
      ),
    "must have fmc in the TCB of turin, and only there",
  ),
);

const idKeyDigest = bytesOf(SHA384_BYTES, "the SHA-384 digest of a key");
const chipId = hexOf(CHIP_ID_BYTES, "a chip ID");
/** VMs with these are always refused. */
const NEVER_ALLOWED: readonly unknown[] = ["debug", "migrationAgent"];
const NO_BITS = { required: [], forbidden: [] };

/** The schema of `snp`. */
export const snpPolicySchema: DocumentSchema<SnpPolicy> = v.pipe(
  v.strictObject({
    products,
    signingKeys: v.optional(listOf(v.picklist(["vcek", "vlek"] as const)), ["vcek"]),
    providers: v.optional(v.array(v.pipe(v.string(), v.minLength(1, "must not be empty"))), []),
    allowsLaggingTcb: v.optional(v.boolean(), false),
    measurements: listOf(bytesOf(SHA384_BYTES, "a launch digest")),
    guestPolicy: v.optional(
      v.pipe(
        bitsOf(GUEST_POLICY_BITS),
        v.check(
          ({ required }) => !required.some((bit) => NEVER_ALLOWED.includes(bit)),
          `requires ${NEVER_ALLOWED.join(" or ")}, with which every VM is refused`,
        ),
      ),
      NO_BITS,
    ),
    platformInfo: v.optional(bitsOf(PLATFORM_INFO_BITS), NO_BITS),
    requiresZeroReserved: v.optional(v.boolean(), false),
    idKeys: v.exactOptional(listOf(idKeyDigest)),
    authorKeys: v.exactOptional(listOf(idKeyDigest)),
    chipIds: v.exactOptional(setOf(chipId)),
    bannedChipIds: v.optional(bansOf(chipId), []),
  }),
  v.check(
    ({ signingKeys, providers }) => signingKeys.includes("vlek") === providers.length > 0,
    "must have providers (the clouds whose keys may sign) if and only if signingKeys has vlek",
  ),
) as Part<SnpPolicy>;
