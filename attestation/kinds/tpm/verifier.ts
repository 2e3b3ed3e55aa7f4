/**
 * The verdict on TPM evidence: every check that the design and the specification require. Each check comes after the
 * checks that it relies on.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import { extendedOnce } from "../../../protocol/transcript.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, hex, isZero, sha256, u32be } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { Expectation, ExplainingVerifier, VerifiedEvidence } from "../../evidence.ts";
import { createChecks } from "../../checks.ts";
import type { Checks } from "../../checks.ts";
import { AS_SHOWN, LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import type { RegisterForms, RegisterValues } from "../../expectation.ts";
import { checkExpectation, registerValues } from "../../expectation.ts";
import { ALGORITHM, ATTRIBUTE, HANDLE, PCR_BYTES, QUOTED_PCRS } from "./constants.ts";
import { checkEkTrust } from "./ek_trust.ts";
import { makeCredential } from "./make_credential.ts";
import type { PcrSelection } from "./pcr_selection.ts";
import { decodePayload } from "./payload.ts";
import type { TpmPolicy } from "./policy.ts";
import type { PublicArea } from "./public_area.ts";
import { nameOf, readPublicArea, spkiOf } from "./public_area.ts";
import type { QuoteInfo } from "./quote_info.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { isSignedBy, readSignature, schemeText } from "./signature.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES } from "./templates.ts";

/** The protocol extends D12 into PCR 12 and D15 into PCR 15, once each. */
const FORMS: RegisterForms = {
  trust: extendedOnce,
  lock: extendedOnce,
  fresh: new Uint8Array(PCR_BYTES),
};
const OTHER_TRUST = "The machine booted with another trust part in its configuration, or none was measured: compare " +
  "its configuration with what is expected, by `verify` with `--config` or `policy registers`";
const OTHER_LOCK =
  "The machine has another lock than is expected, or none: compare its cluster with this one. After a " +
  "reset, restart the machine first";
const REQUIRED_ATTRIBUTES = ["restricted", "sign", "fixedTpm", "fixedParent", "sensitiveDataOrigin"] as const;

/**
 * Creates a verifier of TPM evidence.
 *
 * Its `verify` throws `refused/…` with the name of the check, which is one of `variant`, `ak-algorithm`,
 * `ak-attributes`, `ak-template`, `signature-algorithm`, `quote-signature`, `attest-magic`, `attest-type`, `statement`,
 * `qualified-signer`, `pcr-selection`, `pcr-digest`, `pcr-N`, `ek-type`, `ek-…`, `certificate-signature`,
 * `critical-extension`. It throws `malformed/…` for bytes that are not evidence. Evidence that it accepts is proven
 * only when the challenge is answered.
 *
 * @param policy The policy that the machine must meet.
 * @param now The time of day, for certificates.
 */
export function createTpmVerifier(policy: TpmPolicy, now: () => Date): ExplainingVerifier {
  return {
    variant: "tpm",
    identityCheck: "ek-trust",
    async verify({ variant, payload }, statement, expectation, report): Promise<VerifiedEvidence> {
      checkExpectation(statement, expectation);
      const checks = createChecks(report);
      checks.expect("variant", variant, "tpm", "The evidence is of another variant");
      // The bytes of another variant are no malformed ones of this: no later check would mean anything.
      if (variant !== "tpm") checks.end();
      const evidence = await checks.need("form", () => decodePayload(payload));

      const attestationKey = await checks.need(
        "ak-form",
        () => readPublicArea(evidence.attestationKey, "attestation key"),
      );
      checkAttestationKey(attestationKey, checks);
      const signature = await checks.need("signature-algorithm", () => readSignature(evidence.signature));
      await checks.run("quote-signature", "its signature", async () => {
        if (await isSignedBy(spkiOf(attestationKey.key), signature, evidence.attest)) return;
        throw refusal("quote-signature", "The quote is not signed by the attestation key", "its signature", "another");
      });
      const name = await nameOf(attestationKey.bytes);
      const quote = await checks.need("attest-form", () => readQuoteInfo(evidence.attest));
      const otherConnection = "The quote was made for another connection";
      checks.expect("statement", hex(quote.extraData), hex(statement), otherConnection);
      await checkQualifiedSigner(quote, name, checks);
      checkSelection(quote.selections, checks);
      await checkPcrDigest(quote, evidence.pcrs, checks);
      checkPcrs(evidence.pcrs, policy, await allowedRegisters(evidence.pcrs, expectation), checks);

      const endorsementKey = await checks.need(
        "ek-form",
        () => readPublicArea(evidence.endorsementKey, "endorsement key"),
      );
      const { ekType, trust } = policy;
      const profile = EK_PROFILES[ekType];
      const otherType = `The endorsement key is not of the type ${ekType}`;
      checks.expect("ek-type", hex(endorsementKey.template), hex(profile.template), otherType);
      const spki = spkiOf(endorsementKey.key);
      const identity = hex(await sha256(spki));
      const { certificate, chain = [] } = evidence;
      let remarks: readonly string[] = [];
      await checks.run("ek-trust", identity, async () => {
        remarks = await checkEkTrust(trust, { ekType, spki, identity, certificate, chain }, now());
      });
      checks.end();

      const { resetCount, restartCount } = quote;
      return {
        claims: {
          variant: "tpm",
          identity,
          fresh: isZero(pcrOf(evidence.pcrs, LOCK_REGISTER)),
          facts: Object.fromEntries(evidence.pcrs.map((value, index) => [`pcr${index}`, hex(value)])),
          resetCount,
          restartCount,
          ...(remarks.length === 0 ? {} : { remarks }),
        },
        challenge: await makeCredential(endorsementKey.key, profile, name),
      };
    },
  };
}

async function allowedRegisters(
  pcrs: readonly Uint8Array[],
  expectation: Expectation | typeof AS_SHOWN,
): Promise<RegisterValues> {
  if (expectation !== AS_SHOWN) return await registerValues(expectation, FORMS);
  return { trust: [pcrOf(pcrs, TRUST_REGISTER)], lock: [pcrOf(pcrs, LOCK_REGISTER)] };
}

function checkAttestationKey(
  { key, nameAlgorithm, scheme, attributes, template }: PublicArea,
  checks: Checks,
): void {
  const curve = key.type === "ecc" ? key.curve : "";
  const algorithm = `${key.type} ${curve}, name ${nameAlgorithm.toString(16)}, ` +
    (scheme === undefined ? "no scheme" : schemeText(scheme.algorithm, scheme.hash));
  const wanted = `ecc p256, name ${ALGORITHM.sha256.toString(16)}, ${schemeText(ALGORITHM.ecdsa, ALGORITHM.sha256)}`;
  checks.expect("ak-algorithm", algorithm, wanted, "The attestation key is of an algorithm that is not allowed");
  const missing = REQUIRED_ATTRIBUTES.find((attribute) => (attributes & ATTRIBUTE[attribute]) === 0);
  const all = `${REQUIRED_ATTRIBUTES.join(", ")}, not decrypt`;
  const isDecrypting = (attributes & ATTRIBUTE.decrypt) !== 0;
  const message = missing === undefined
    ? "The attestation key may decrypt"
    : `The attestation key is not ${missing}, so its quotes prove nothing`;
  checks.expect(
    "ak-attributes",
    missing === undefined && !isDecrypting ? all : attributes.toString(16),
    all,
    message,
  );
  const otherTemplate = "The attestation key was not made from this protocol's template";
  checks.expect("ak-template", hex(template), hex(ATTESTATION_KEY_TEMPLATE), otherTemplate);
}

/** A primary key's qualified name: the hierarchy's handle and the key's own name (TPM 2.0 Part 1, 16.3). */
async function checkQualifiedSigner({ qualifiedSigner }: QuoteInfo, name: Bytes, checks: Checks): Promise<void> {
  const digest = await sha256(u32be(HANDLE.endorsement), name);
  const expected = concat(name.subarray(0, name.length - digest.length), digest);
  const message = "The quote is by another key, or one outside the endorsement hierarchy";
  checks.expect("qualified-signer", hex(qualifiedSigner), hex(expected), message);
}

function checkSelection(selections: readonly PcrSelection[], checks: Checks): void {
  const text = (list: readonly PcrSelection[]) =>
    list.map(({ hash, pcrs }) => `${hash.toString(16).padStart(4, "0")}:${pcrs.join(",")}`).join(" ") || "nothing";
  const expected = text([{ hash: ALGORITHM.sha256, pcrs: QUOTED_PCRS }]);
  checks.expect("pcr-selection", text(selections), expected, "The quote is over other PCRs");
}

async function checkPcrDigest({ pcrDigest }: QuoteInfo, pcrs: readonly Uint8Array[], checks: Checks): Promise<void> {
  const message = "The PCR values are not those that were quoted";
  checks.expect("pcr-digest", hex(await sha256(...pcrs)), hex(pcrDigest), message);
}

function checkPcrs(
  pcrs: readonly Uint8Array[],
  policy: TpmPolicy,
  registers: RegisterValues,
  checks: Checks,
): void {
  const check = (index: number, allowed: readonly Uint8Array[], why: string, next?: string) => {
    const message = `PCR ${index} has a value that is not allowed (${why})`;
    checks.expectOneOf(`pcr-${index}`, hex(pcrOf(pcrs, index)), allowed.map(hex), message, next);
  };
  check(TRUST_REGISTER, registers.trust, "which holds the trust part of the configuration", OTHER_TRUST);
  check(LOCK_REGISTER, registers.lock, "which holds the lock; zero stands for none", OTHER_LOCK);
  for (const [index, allowed] of policy.pcrs) check(index, allowed, "as the policy says");
}

function pcrOf(pcrs: readonly Uint8Array[], index: number): Uint8Array {
  const value = pcrs[index];
  if (value === undefined) throw new BootstrapError("internal/pcr", `PCR ${index} is in no quote`);
  return value;
}
