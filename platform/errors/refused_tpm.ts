/**
 * Refusals of a TPM's evidence.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const NOT_GENUINE = "Do not trust the machine: its evidence was not made by an honest node.";
const OTHER_CA = "Check the authority in the policy: it does not certify endorsement keys.";
const OTHER_EK = "Check the machine's TPM: the certificate in it does not follow the TCG's EK Credential Profile.";
const BOOTED =
  "Compare the event logs (`bootstrapper policy explain --reference`): another image booted, or the policy is old.";

/** A TPM's evidence that is refused. */
export const REFUSED_TPM = {
  "refused/ak-algorithm": {
    meaning: "The attestation key is of an algorithm that is not allowed.",
    remedy: NOT_GENUINE,
  },
  "refused/ak-attributes": {
    meaning: "The attestation key is not restricted to data from a TPM, so its quotes prove nothing.",
    remedy: NOT_GENUINE,
  },
  "refused/ak-template": {
    meaning: "The attestation key was not made from the template of the protocol.",
    remedy: NOT_GENUINE,
  },
  "refused/attest-magic": { meaning: "The quote was not made by a TPM.", remedy: NOT_GENUINE },
  "refused/attest-type": { meaning: "The attestation is not a quote.", remedy: NOT_GENUINE },
  "refused/ek-attributes": {
    meaning: "The certificate of the endorsement key names another make of machine than the policy.",
    remedy: "Compare its attributes with those for the authority in the policy.",
  },
  "refused/ek-certificate": {
    meaning: "The endorsement key has no certificate, and its identity is not in the policy.",
    remedy: "Add the identity to the policy, if the machine is yours.",
  },
  "refused/ek-certificate-constraints": {
    meaning: "The certificate of the endorsement key is a CA certificate.",
    remedy: OTHER_EK,
  },
  "refused/ek-certificate-form": {
    meaning: "The certificate of the endorsement key cannot be read, and the machine's identity is not in the policy.",
    remedy: "If the machine is yours, list its identity in tpm.trust.identities.",
  },
  "refused/ek-certificate-key": {
    meaning: "The certificate of the endorsement key is for another key.",
    remedy: NOT_GENUINE,
  },
  "refused/ek-certificate-key-usage": {
    meaning: "The certificate of the endorsement key does not say that the key is one.",
    remedy: OTHER_EK,
  },
  "refused/ek-certificate-usage": {
    meaning: "The certificate of the endorsement key is for other purposes.",
    remedy: OTHER_EK,
  },
  "refused/ek-certificate-validity": {
    meaning: "The certificate of the endorsement key is not yet valid or has expired.",
    remedy: "Check the clocks. If they are correct, add the machine's identity to the policy.",
  },
  "refused/ek-identity": {
    meaning: "The machine's identity is not in the policy, and the policy names no authority.",
    remedy: "Add the identity to the policy, if the machine is yours.",
  },
  "refused/ek-issuer": {
    meaning: "The certificate of the endorsement key is of an authority that the policy does not name.",
    remedy: "Add the authority or the machine's identity to the policy, if you trust it.",
  },
  "refused/ek-issuer-constraints": { meaning: "An authority in the policy is not a CA.", remedy: OTHER_CA },
  "refused/ek-issuer-key-usage": {
    meaning: "An authority in the policy may not sign certificates.",
    remedy: OTHER_CA,
  },
  "refused/ek-issuer-usage": {
    meaning: "An authority in the policy is for other purposes.",
    remedy: OTHER_CA,
  },
  "refused/ek-issuer-validity": {
    meaning: "The certificate of the authority is not yet valid or has expired.",
    remedy: "Check the clocks. If they are correct, put the authority's new certificate into the policy.",
  },
  "refused/ek-type": {
    meaning: "The endorsement key is of another type than the policy requires.",
    remedy: "Set evidence.ekType in the node's configuration to that of the policy.",
  },
  "refused/pcr-N": {
    meaning:
      "The PCR of that number has a value that is not allowed. PCR 12 holds the configuration's trust part, PCR 15 the lock.",
    remedy: BOOTED,
  },
  "refused/pcr-digest": { meaning: "The PCR values are not the quoted ones.", remedy: NOT_GENUINE },
  "refused/pcr-selection": { meaning: "The quote is over other PCRs than the protocol's.", remedy: NOT_GENUINE },
  "refused/qualified-signer": {
    meaning: "The quote is from another key, or from a key outside the endorsement hierarchy.",
    remedy: NOT_GENUINE,
  },
  "refused/quote-signature": { meaning: "The quote is not signed by the attestation key.", remedy: NOT_GENUINE },
  "refused/statement": {
    meaning: "The quote was made for another connection: it is a replay.",
    remedy: "Run the command again. If it happens again, look for an attacker between both sides.",
  },
  "refused/tpm-value": {
    meaning: "The TPM cannot open the challenge: it is for another TPM or key, or has a wrong form.",
    remedy: "Run the command again. If it happens again, look for an attacker between both sides.",
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
