/**
 * The verdict on a TPM's evidence: every check that design and specification want, in the order of what it rests on.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { concat, equalBytes, hex, isZero, sha256, u32be } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceVerifier, RegisterExpectation, VerifiedEvidence } from "../evidence.ts";
import { LOCK_REGISTER, refusal, TRUST_REGISTER } from "../evidence.ts";
import { ALGORITHM, ATTRIBUTE, HANDLE, PCR_BYTES, QUOTED_PCRS } from "./constants.ts";
import type { EkTrust } from "./ek_trust.ts";
import { checkEkTrust } from "./ek_trust.ts";
import { makeCredential } from "./make_credential.ts";
import type { PcrSelection } from "./pcr_selection.ts";
import { decodePayload } from "./payload.ts";
import type { PublicArea } from "./public_area.ts";
import { nameOf, readPublicArea, spkiOf } from "./public_area.ts";
import type { QuoteInfo } from "./quote_info.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { isSignedBy, readSignature, schemeText } from "./signature.ts";
import type { EkType } from "./templates.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES } from "./templates.ts";

/** What a policy wants of a TPM. */
export interface TpmPolicy {
  /** The one kind of endorsement key; another kind would be another identity of the same machine. */
  readonly ekType: EkType;
  /** Allowed values of SHA-256 PCRs, 32 bytes each, by the PCR's number from 0 to 15; 12 and 15 are the protocol's. */
  readonly pcrs: ReadonlyMap<number, readonly Uint8Array[]>;
  /** Which endorsement keys. */
  readonly trust: EkTrust;
}

const STATEMENT_BYTES = 32;
const REQUIRED_ATTRIBUTES = ["restricted", "sign", "fixedTpm", "fixedParent", "sensitiveDataOrigin"] as const;

/**
 * A verifier of TPM evidence.
 *
 * Its `verify` throws `refused/…` with the check's name, which is one of `variant`, `ak-algorithm`, `ak-attributes`,
 * `ak-template`, `signature-algorithm`, `quote-signature`, `attest-magic`, `attest-type`, `statement`, `qualified-signer`,
 * `pcr-selection`, `pcr-digest`, `pcr-N`, `ek-type`, `ek-…`, `certificate-signature`, `critical-extension`; and `malformed/…`
 * for bytes that are no evidence. What it lets pass is proven only when the challenge is answered.
 *
 * @param policy What the machine must be.
 * @param now The time of day, for certificates.
 */
export function createTpmVerifier(policy: TpmPolicy, now: () => Date): EvidenceVerifier {
  return {
    variant: "tpm",
    async verify({ variant, payload }, statement, registers): Promise<VerifiedEvidence> {
      checkArguments(statement, registers);
      if (variant !== "tpm") throw refusal("variant", "The evidence is of another variant", "tpm", variant);
      const evidence = decodePayload(payload);

      const attestationKey = readPublicArea(evidence.attestationKey, "attestation key");
      checkAttestationKey(attestationKey);
      const signature = readSignature(evidence.signature);
      if (!await isSignedBy(spkiOf(attestationKey.key), signature, evidence.attest)) {
        throw refusal("quote-signature", "The quote is not signed by the attestation key", "its signature", "another");
      }
      const name = await nameOf(attestationKey.bytes);
      const quote = readQuoteInfo(evidence.attest);
      if (!equalBytes(quote.extraData, statement)) {
        throw refusal("statement", "The quote was made for another connection", hex(statement), hex(quote.extraData));
      }
      await checkQualifiedSigner(quote, name);
      checkSelection(quote.selections);
      await checkPcrDigest(quote, evidence.pcrs);
      checkPcrs(evidence.pcrs, policy, registers);

      const endorsementKey = readPublicArea(evidence.endorsementKey, "endorsement key");
      const profile = EK_PROFILES[policy.ekType];
      if (!equalBytes(endorsementKey.template, profile.template)) {
        const seen = hex(endorsementKey.template);
        throw refusal(
          "ek-type",
          `The endorsement key is not of the type ${policy.ekType}`,
          hex(profile.template),
          seen,
        );
      }
      const spki = spkiOf(endorsementKey.key);
      const identity = hex(await sha256(spki));
      const { ekType, trust } = policy;
      await checkEkTrust(trust, { ekType, spki, identity, certificate: evidence.certificate }, now());

      const { resetCount, restartCount } = quote;
      return {
        claims: {
          variant: "tpm",
          identity,
          fresh: isZero(pcrOf(evidence.pcrs, LOCK_REGISTER)),
          resetCount,
          restartCount,
        },
        challenge: await makeCredential(endorsementKey.key, profile, name),
      };
    },
  };
}

/** A caller that forgets what to expect would accept anything: that is a defect, not the peer's fault. */
function checkArguments(statement: Uint8Array, { trust, lock }: RegisterExpectation): void {
  const isUsable = (values: readonly Uint8Array[]) =>
    values.length > 0 && values.every((value) => value.length === PCR_BYTES);
  if (statement.length === STATEMENT_BYTES && isUsable(trust) && isUsable(lock)) return;
  throw new BootstrapError(
    "internal/expectation",
    "Evidence is verified against 32-byte statements and register values only",
  );
}

function checkAttestationKey({ key, nameAlgorithm, scheme, attributes, template }: PublicArea): void {
  const isP256 = key.type === "ecc" && key.curve === "p256";
  const isScheme = scheme?.algorithm === ALGORITHM.ecdsa && scheme.hash === ALGORITHM.sha256;
  if (!isP256 || !isScheme || nameAlgorithm !== ALGORITHM.sha256) {
    const expected = `ecc p256, name 000b, ${schemeText(ALGORITHM.ecdsa, ALGORITHM.sha256)}`;
    const curve = key.type === "ecc" ? key.curve : "";
    const seen = `${key.type} ${curve}, name ${nameAlgorithm.toString(16)}, ` +
      (scheme === undefined ? "no scheme" : schemeText(scheme.algorithm, scheme.hash));
    throw refusal("ak-algorithm", "The attestation key is of an algorithm that is not allowed", expected, seen);
  }
  for (const attribute of REQUIRED_ATTRIBUTES) {
    if ((attributes & ATTRIBUTE[attribute]) !== 0) continue;
    const seen = attributes.toString(16);
    throw refusal(
      "ak-attributes",
      `The attestation key is not ${attribute}, so its quotes prove nothing`,
      attribute,
      seen,
    );
  }
  if ((attributes & ATTRIBUTE.decrypt) !== 0) {
    throw refusal("ak-attributes", "The attestation key may decrypt", "not decrypt", attributes.toString(16));
  }
  if (!equalBytes(template, ATTESTATION_KEY_TEMPLATE)) {
    const [expected, seen] = [hex(ATTESTATION_KEY_TEMPLATE), hex(template)];
    throw refusal("ak-template", "The attestation key was not made from this protocol's template", expected, seen);
  }
}

/** A primary key's qualified name: the hierarchy's handle and its own name (TPM 2.0 Part 1, 16.3). */
async function checkQualifiedSigner({ qualifiedSigner }: QuoteInfo, name: Bytes): Promise<void> {
  const digest = await sha256(u32be(HANDLE.endorsement), name);
  const expected = concat(name.subarray(0, name.length - digest.length), digest);
  if (equalBytes(qualifiedSigner, expected)) return;
  const message = "The quote is by another key, or one outside the endorsement hierarchy";
  throw refusal("qualified-signer", message, hex(expected), hex(qualifiedSigner));
}

function checkSelection(selections: readonly PcrSelection[]): void {
  const text = (list: readonly PcrSelection[]) =>
    list.map(({ hash, pcrs }) => `${hash.toString(16).padStart(4, "0")}:${pcrs.join(",")}`).join(" ") || "nothing";
  const [expected, seen] = [text([{ hash: ALGORITHM.sha256, pcrs: QUOTED_PCRS }]), text(selections)];
  if (seen !== expected) throw refusal("pcr-selection", "The quote is over other PCRs", expected, seen);
}

async function checkPcrDigest({ pcrDigest }: QuoteInfo, pcrs: readonly Uint8Array[]): Promise<void> {
  const digest = await sha256(...pcrs);
  if (equalBytes(digest, pcrDigest)) return;
  throw refusal("pcr-digest", "The PCR values are not those that were quoted", hex(pcrDigest), hex(digest));
}

function checkPcrs(pcrs: readonly Uint8Array[], policy: TpmPolicy, registers: RegisterExpectation): void {
  checkPcr(pcrs, TRUST_REGISTER, registers.trust, "which holds the trust part of the configuration");
  checkPcr(pcrs, LOCK_REGISTER, registers.lock, "which holds the lock; zero stands for none");
  for (const [index, allowed] of policy.pcrs) checkPcr(pcrs, index, allowed, "as the policy says");
}

function checkPcr(pcrs: readonly Uint8Array[], index: number, allowed: readonly Uint8Array[], why: string): void {
  const seen = pcrOf(pcrs, index);
  if (allowed.some((value) => equalBytes(value, seen))) return;
  const expected = allowed.map(hex).join(", ");
  throw refusal(`pcr-${index}`, `PCR ${index} has a value that is not allowed (${why})`, expected, hex(seen));
}

function pcrOf(pcrs: readonly Uint8Array[], index: number): Uint8Array {
  const value = pcrs[index];
  if (value === undefined) throw new BootstrapError("internal/pcr", `PCR ${index} is in no quote`);
  return value;
}
