/**
 * The schema of a policy's TPM section.
 *
 * @module
 */
import * as v from "valibot";
import { ATTRIBUTE, type NameAttribute } from "../../../certificate/name.ts";
import { readPem } from "../../../certificate/pem.ts";
import { type Certificate, readCertificate } from "../../../certificate/x509.ts";
import type { DocumentSchema } from "../../../platform/document.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import { bytesOf, digestHex } from "../../policy/_policy_parts.ts";
import { QUOTED_PCRS } from "./constants.ts";
import { checkEkIssuer } from "./ek_chain.ts";
import type { TpmPolicy } from "./policy.ts";
import { EK_TYPES } from "./templates.ts";

/** Attributes that have a name here. Any other attribute is written as its OID. */
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
const PCR_BYTES = 32;
const PROTOCOL_PCRS: readonly number[] = [TRUST_REGISTER, LOCK_REGISTER];

const digest = bytesOf(PCR_BYTES, "a SHA-256 digest");

const pcrIndex = v.pipe(
  v.string(),
  v.regex(/^(?:0|[1-9]\d?)$/, "must be the number of a PCR"),
  v.check((text) => QUOTED_PCRS.includes(Number(text)), `must be a PCR that is quoted, 0 to ${QUOTED_PCRS.length - 1}`),
  v.check(
    (text) => !PROTOCOL_PCRS.includes(Number(text)),
    "cannot be set in a policy: PCR 12 (the configuration's trust part) and PCR 15 (the lock) are always checked by the protocol itself",
  ),
);

const pcrs = v.pipe(
  v.record(pcrIndex, v.pipe(v.array(digest), v.minLength(1, "must have at least one allowed value"))),
  v.check(
    (entries) => Object.keys(entries).length > 0,
    "must have at least one PCR, because only PCRs distinguish images",
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
        v.array(v.strictObject({
          certificate: caCertificate,
          attributes,
          allowExpired: v.optional(v.boolean(), false),
        })),
        v.minLength(1, "must not be empty; leave it out"),
      ),
    ),
    intermediates: v.optional(v.pipe(v.array(caCertificate), v.minLength(1, "must not be empty; leave it out"))),
  }),
  v.transform(({ identities = [], issuers = [], intermediates = [] }) => ({ identities, issuers, intermediates })),
  v.check(
    ({ identities, issuers }) => identities.length + issuers.length > 0,
    "must have identities or issuers: a TPM is trusted for what it is, never for being one",
  ),
  v.check(
    ({ issuers, intermediates }) => issuers.length > 0 || intermediates.length === 0,
    "must have issuers if it has intermediates, which are trusted only below an issuer",
  ),
);

/** The schema of `tpm`. */
export const tpmPolicySchema: DocumentSchema<TpmPolicy> = v.pipe(
  v.strictObject({ ekType: v.picklist(EK_TYPES), pcrs, trust }),
  v.transform(({ ekType, pcrs, trust }): TpmPolicy => ({
    ekType,
    pcrs: new Map(Object.entries(pcrs).map(([index, values]) => [Number(index), values])),
    trust: { ...trust, identities: new Set(trust.identities) },
  })),
) as v.GenericSchema<unknown, TpmPolicy>;
