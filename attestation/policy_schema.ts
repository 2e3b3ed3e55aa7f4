/**
 * The form of a policy document.
 *
 * @module
 */
import * as v from "valibot";
import { ATTRIBUTE, type NameAttribute } from "../certificate/name.ts";
import { readPem } from "../certificate/pem.ts";
import { type Certificate, readCertificate } from "../certificate/x509.ts";
import type { Bytes } from "../platform/bytes.ts";
import { fromHex } from "../platform/bytes.ts";
import type { DocumentSchema } from "../platform/document.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { EVIDENCE_VARIANTS, type EvidenceVariant, LOCK_REGISTER, TRUST_REGISTER } from "./evidence.ts";
import { QUOTED_PCRS } from "./tpm/constants.ts";
import { checkEkIssuer, type EkIssuer } from "./tpm/ek_trust.ts";
import { EK_TYPES, type EkType } from "./tpm/templates.ts";

/** A policy document that has its form. */
export interface PolicyDocument {
  /** The version of the form. */
  readonly version: 1;
  /** The one kind of evidence. */
  readonly variant: EvidenceVariant;
  /** What is wanted of a TPM; exactly for the variant `tpm`. */
  readonly tpm?: TpmDocument | undefined;
  /** Who may be more than a worker. */
  readonly roles: { readonly controlPlanes: readonly string[] };
  /** How far a peer's clock may be off. */
  readonly maximumClockSkewSeconds: number;
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

const document = v.strictObject({
  version: v.literal(1),
  variant: v.picklist(EVIDENCE_VARIANTS),
  tpm: v.optional(tpm),
  roles: v.optional(v.strictObject({ controlPlanes: v.optional(v.array(digestHex), []) }), {}),
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

/** The schema of a policy document, combinations that make no sense included. */
export const policySchema: DocumentSchema<PolicyDocument> = v.pipe(
  document,
  v.forward(
    v.check(
      ({ variant, tpm }) => (variant === "tpm") === (tpm !== undefined),
      "is for the variant tpm, which needs it, and for no other",
    ),
    ["tpm"],
  ),
  v.forward(
    v.check(
      ({ variant, roles }) => variant !== "none" || roles.controlPlanes.length === 0,
      "must have no controlPlanes under the variant none, which proves nothing",
    ),
    ["roles"],
  ),
  v.forward(
    v.check(
      ({ tpm, roles }) => canBeTrusted(roles.controlPlanes, tpm?.trust),
      "names a control plane that tpm.trust does not trust",
    ),
    ["roles"],
  ),
);

function canBeTrusted(identities: readonly string[], trust: TpmDocument["trust"] | undefined): boolean {
  if (trust === undefined || trust.issuers.length > 0) return true;
  return identities.every((identity) => trust.identities.includes(identity));
}
