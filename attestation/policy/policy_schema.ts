/**
 * The form of a policy document.
 *
 * @module
 */
import * as v from "valibot";
import { ATTRIBUTE, type NameAttribute } from "../../certificate/name.ts";
import { readPem } from "../../certificate/pem.ts";
import { type Certificate, readCertificate } from "../../certificate/x509.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import type { DocumentSchema } from "../../platform/document.ts";
import { sectionOf } from "./_policy_parts.ts";
import { asBootstrapError } from "../../platform/errors.ts";
import { EVIDENCE_VARIANTS, type EvidenceVariant, LOCK_REGISTER, TRUST_REGISTER } from "../evidence.ts";
import type { SnpPolicy } from "../kinds/snp/policy.ts";
import { snpPolicySchema } from "../kinds/snp/policy_schema.ts";
import type { TdxPolicy } from "../kinds/tdx/policy.ts";
import { tdxPolicySchema } from "../kinds/tdx/policy_schema.ts";
import { QUOTED_PCRS } from "../kinds/tpm/constants.ts";
import { checkEkIssuer, type EkIssuer } from "../kinds/tpm/ek_trust.ts";
import { EK_TYPES, type EkType } from "../kinds/tpm/templates.ts";

/** The kinds of peers that a policy speaks of: a node that asks for a ticket, and one that an operator initialises. */
export const PEER_KINDS = ["node", "init"] as const;
/** A kind of peer. */
export type PeerKind = typeof PEER_KINDS[number];

/** A policy document that has its form. */
export interface PolicyDocument {
  /** The version of the form. */
  readonly version: 1;
  /** The kinds of evidence that each kind of peer must show, all of them; the first gives the identity. */
  readonly variant: Readonly<Record<PeerKind, readonly EvidenceVariant[]>>;
  /** What is wanted of a TPM; exactly where the variant `tpm` is wanted of somebody. */
  readonly tpm?: TpmDocument | undefined;
  /** What is wanted of SEV-SNP, likewise. */
  readonly snp?: SnpPolicy | undefined;
  /** What is wanted of TDX, likewise. */
  readonly tdx?: TdxPolicy | undefined;
  /** Where to look for certificates and revocation lists that do not come with the evidence. */
  readonly collateral: CollateralPlaces;
  /** Identities that are let in under no circumstances. */
  readonly bannedIdentities: readonly string[];
  /** Who may be more than a worker. */
  readonly roles: { readonly controlPlanes: readonly string[] };
  /** Patterns of node names: of an identity, or of whoever is not named. */
  readonly names: {
    readonly default: readonly string[];
    readonly byIdentity: Readonly<Record<string, readonly string[]>>;
  };
  /** How far a peer's clock may be off. */
  readonly maximumClockSkewSeconds: number;
}

/** Places of collateral; the folder is looked into first. */
export interface CollateralPlaces {
  /** A folder, absolute. */
  readonly folder?: string | undefined;
  /** The address of a cache, `https:`. */
  readonly cache?: string | undefined;
}

/** The part of a policy about a TPM. */
export interface TpmDocument {
  /** The kind of endorsement key. */
  readonly ekType: EkType;
  /** Allowed values, by the PCR's number. */
  readonly pcrs: Readonly<Record<string, readonly Bytes[]>>;
  /** Trusted identities, and authorities that certify them. */
  readonly trust: { readonly identities: readonly string[]; readonly issuers: readonly EkIssuer[] };
}

/** Attributes that may be named; any other is written as its OID. */
const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = Object.freeze({
  CN: ATTRIBUTE.commonName,
  O: ATTRIBUTE.organization,
  serialNumber: "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  OU: "2.5.4.11",
  // TCG EK Credential Profile, 3.2.9.
  tpmManufacturer: "2.23.133.2.1",
  tpmModel: "2.23.133.2.2",
  tpmVersion: "2.23.133.2.3",
});
const DEFAULT_CLOCK_SKEW_SECONDS = 300;
const MAXIMUM_CLOCK_SKEW_SECONDS = 3600;
const PROTOCOL_PCRS: readonly number[] = [TRUST_REGISTER, LOCK_REGISTER];

const digestHex = v.pipe(
  v.string(),
  v.regex(/^[0-9a-fA-F]{64}$/, "must be a SHA-256 digest, 64 hexadecimal digits"),
  v.toLowerCase(),
);

/** As a key: two spellings of one digest would be one entry, of which the last would count. */
const lowerCaseDigest = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, "must be a SHA-256 digest, 64 hexadecimal digits in lower case"),
);

const digest = v.pipe(digestHex, v.transform((text) => fromHex(text, "PCR")));

const pcrIndex = v.pipe(
  v.string(),
  v.regex(/^(?:0|[1-9]\d?)$/, "must be the number of a PCR"),
  v.check((text) => QUOTED_PCRS.includes(Number(text)), `must be a PCR that is quoted, 0 to ${QUOTED_PCRS.length - 1}`),
  v.check(
    (text) => !PROTOCOL_PCRS.includes(Number(text)),
    "is not the policy's to set: PCR 12 (the configuration's trust part) and PCR 15 (the lock) are always checked by the protocol itself",
  ),
);

const pcrs = v.pipe(
  v.record(pcrIndex, v.pipe(v.array(digest), v.minLength(1, "must have at least one allowed value"))),
  v.check(
    (entries) => Object.keys(entries).length > 0,
    "must have at least one PCR, as nothing else tells one image from another",
  ),
);

const caCertificate = v.pipe(
  v.string(),
  v.rawTransform<string, Certificate>(({ dataset, addIssue, NEVER }) => {
    try {
      const certificate = readCertificate(
        readPem(dataset.value, "CERTIFICATE", "certificate"),
        "certificate",
        "vendor",
      );
      checkEkIssuer(certificate);
      return certificate;
    } catch (error) {
      addIssue({ message: asBootstrapError(error).message });
      return NEVER;
    }
  }),
);

const attributeType = v.pipe(
  v.string(),
  v.check(
    (type) => Object.hasOwn(ATTRIBUTE_NAMES, type) || /^[0-2](?:\.(?:0|[1-9]\d*))+$/.test(type),
    `must be an OID or one of ${Object.keys(ATTRIBUTE_NAMES).join(", ")}`,
  ),
);

const attributes = v.pipe(
  v.record(attributeType, v.pipe(v.string(), v.minLength(1, "must not be empty"))),
  v.transform((entries): readonly NameAttribute[] =>
    Object.entries(entries).map(([type, value]) => ({ oid: ATTRIBUTE_NAMES[type] ?? type, value }))
  ),
  v.minLength(1, "must have at least one attribute that tells your machines from the authority's other ones"),
);

const trust = v.pipe(
  v.strictObject({
    identities: v.optional(v.pipe(v.array(digestHex), v.minLength(1, "must not be empty; leave it out"))),
    issuers: v.optional(
      v.pipe(
        v.array(v.strictObject({ certificate: caCertificate, attributes })),
        v.minLength(1, "must not be empty; leave it out"),
      ),
    ),
  }),
  v.transform(({ identities = [], issuers = [] }) => ({ identities, issuers })),
  v.check(
    ({ identities, issuers }) => identities.length + issuers.length > 0,
    "must have identities or issuers: a TPM is trusted for what it is, never for being one",
  ),
);

const tpm = v.strictObject({ ekType: v.picklist(EK_TYPES), pcrs, trust });

const VARIANT_MESSAGE = `must be ${
  EVIDENCE_VARIANTS.join(" or ")
}, a list of several, or one of these for node and one for init`;

const variants = v.pipe(
  v.union([v.picklist(EVIDENCE_VARIANTS), v.array(v.picklist(EVIDENCE_VARIANTS))]),
  v.transform((value): readonly EvidenceVariant[] => typeof value === "string" ? [value] : value),
  v.minLength(1, "must not be empty"),
  v.check((list) => new Set(list).size === list.length, "must have each kind once"),
  v.check((list) => !list.includes("none") || list.length === 1, "must have none alone, as it proves nothing"),
  v.check(
    (list) => !(list.includes("snp") && list.includes("tdx")),
    "must not have both snp and tdx, which no machine has",
  ),
);

const variant = v.pipe(
  v.union([variants, v.strictObject({ node: variants, init: variants })], VARIANT_MESSAGE),
  v.transform((value) => "node" in value ? value : { node: value, init: value }),
  v.check(
    ({ node, init }) => node.includes("none") === init.includes("none"),
    "must have none for both kinds of peers, or for neither",
  ),
);

const absolutePath = v.pipe(v.string(), v.regex(/^\/[^\0]*$/, "must be an absolute path"));
const httpsUrl = v.pipe(
  v.string(),
  v.check((text) => {
    const url = URL.parse(text);
    return url?.protocol === "https:" && url.username === "" && url.password === "" && !/[?#]/.test(text) &&
      url.search === "" &&
      url.hash === "";
  }, "must be an address that begins with https:, without user, query and fragment"),
);

/** A label of DNS, in which `*` stands for any characters and `?` for one. */
const namePattern = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9*?-]{1,63}$/, "must be a node name, in which * stands for any characters and ? for one"),
);
const namePatterns = v.pipe(v.array(namePattern), v.minLength(1, "must not be empty"));

const document = v.strictObject({
  version: v.literal(1),
  variant,
  tpm: v.optional(tpm),
  snp: v.optional(sectionOf(snpPolicySchema)),
  tdx: v.optional(sectionOf(tdxPolicySchema)),
  collateral: v.optional(
    v.strictObject({ folder: v.exactOptional(absolutePath), cache: v.exactOptional(httpsUrl) }),
    {},
  ),
  bannedIdentities: v.optional(v.array(digestHex), []),
  roles: v.optional(v.strictObject({ controlPlanes: v.optional(v.array(digestHex), []) }), {}),
  names: v.optional(
    v.strictObject({
      default: v.optional(namePatterns, ["*"]),
      byIdentity: v.optional(v.record(lowerCaseDigest, namePatterns), {}),
    }),
    {},
  ),
  maximumClockSkewSeconds: v.optional(
    v.pipe(
      v.number(),
      v.integer("must be whole"),
      v.minValue(1, "must be 1 or more"),
      v.maxValue(MAXIMUM_CLOCK_SKEW_SECONDS),
    ),
    DEFAULT_CLOCK_SKEW_SECONDS,
  ),
});

/** A section that nobody reads would be believed to protect. */
function sectionMessage(name: string): string {
  return `is for the variant ${name}, which needs it, and for no other`;
}

function hasItsSection({ variant: { node, init }, ...sections }: PolicyDocument, name: "tpm" | "snp" | "tdx"): boolean {
  return [...node, ...init].includes(name) === (sections[name] !== undefined);
}

/** The schema of a policy document, combinations that make no sense included. */
export const policySchema: DocumentSchema<PolicyDocument> = v.pipe(
  document,
  v.forward(v.check((policy) => hasItsSection(policy, "tpm"), sectionMessage("tpm")), ["tpm"]),
  v.forward(v.check((policy) => hasItsSection(policy, "snp"), sectionMessage("snp")), ["snp"]),
  v.forward(v.check((policy) => hasItsSection(policy, "tdx"), sectionMessage("tdx")), ["tdx"]),
  v.forward(
    v.check(
      ({ variant, roles }) => !variant.node.includes("none") || roles.controlPlanes.length === 0,
      "must have no controlPlanes under the variant none, which proves nothing",
    ),
    ["roles"],
  ),
  v.forward(
    v.check(
      ({ variant, tpm, roles }) => variant.node[0] !== "tpm" || canBeTrusted(roles.controlPlanes, tpm?.trust),
      "names a control plane that tpm.trust does not trust",
    ),
    ["roles"],
  ),
  v.forward(
    v.check(
      ({ bannedIdentities, roles }) => !roles.controlPlanes.some((identity) => bannedIdentities.includes(identity)),
      "names a control plane that is banned",
    ),
    ["roles"],
  ),
);

function canBeTrusted(identities: readonly string[], trust: TpmDocument["trust"] | undefined): boolean {
  if (trust === undefined || trust.issuers.length > 0) return true;
  return identities.every((identity) => trust.identities.includes(identity));
}
