/**
 * Refusals of a TDX quote.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const FORGED = "Do not trust the machine: its quote or its certificates are forged or mixed up.";
const FETCH = "Fetch the document again from Intel's Provisioning Certification Service.";
const BY_POLICY = "Launch the TD as the policy requires, or have an operator change the policy.";
const UPDATE = "Have the provider of the host update its firmware and its TDX module, or change the policy.";
const GENERAL = "the test is with the reader of certificates, under the code without tdx-";

/** A TDX quote that is refused. */
export const REFUSED_TDX = {
  "refused/tdx-attributes": {
    meaning:
      "The TD may be migrated, has an attribute without a name that may weaken it, or one that the policy does not allow.",
    remedy: BY_POLICY,
  },
  "refused/tdx-banned-platform": { meaning: "The policy bans the platform.", remedy: "Run the TD on another host." },
  "refused/tdx-certificate-constraints": {
    meaning: "A certificate of a chain is a CA certificate but must not be one, or the reverse.",
    remedy: FORGED,
  },
  "refused/tdx-certificate-issuer": { meaning: "A certificate of a chain is of another issuer.", remedy: FORGED },
  "refused/tdx-certificate-key-usage": {
    meaning: "A certificate of a chain does not allow the use of its key.",
    remedy: FORGED,
    untested: "the simulated Intel of the tests issues no certificate with other usages",
  },
  "refused/tdx-certificate-revoked": {
    meaning: "Intel has revoked a certificate of a chain.",
    remedy: "Do not trust the machine.",
  },
  "refused/tdx-certificate-signature": {
    meaning: "A certificate of a chain is not signed by its issuer.",
    remedy: FORGED,
  },
  "refused/tdx-certificate-subject": { meaning: "A certificate of a chain is of another subject.", remedy: FORGED },
  "refused/tdx-certificate-validity": {
    meaning: "A certificate of a chain is not yet valid or has expired.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/tdx-collateral-missing": {
    meaning: "An Intel document on the platform is missing.",
    remedy: "Put the document that the error names into the collateral folder or cache.",
  },
  "refused/tdx-critical-extension": {
    meaning: "A certificate of a chain has a critical extension that this version does not know.",
    remedy: FORGED,
    untested: GENERAL,
  },
  "refused/tdx-crl-extension": {
    meaning: "A list of revoked certificates is not the whole list.",
    remedy: FETCH,
    untested: GENERAL,
  },
  "refused/tdx-crl-issuer": { meaning: "A list of revoked certificates is of another issuer.", remedy: FETCH },
  "refused/tdx-crl-key-usage": {
    meaning: "The issuer of a list of revoked certificates may not sign such lists.",
    remedy: FETCH,
    untested: GENERAL,
  },
  "refused/tdx-crl-signature": {
    meaning: "A list of revoked certificates is not signed by its issuer.",
    remedy: FETCH,
  },
  "refused/tdx-crl-validity": {
    meaning: "A list of revoked certificates is out of date or dated in the future.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/tdx-debug": { meaning: "The host can debug the TD, and can thus read its memory.", remedy: BY_POLICY },
  "refused/tdx-fmspc": { meaning: "The TCB info is of other platforms.", remedy: FETCH },
  "refused/tdx-key-type": {
    meaning: "A key of a chain is of a type that is not allowed.",
    remedy: FORGED,
    untested: GENERAL,
  },
  "refused/tdx-module-attributes": {
    meaning: "The attributes of the TDX module are not those that Intel published.",
    remedy: FORGED,
  },
  "refused/tdx-module-level": { meaning: "The TDX module does not reach any of Intel's levels.", remedy: UPDATE },
  "refused/tdx-module-signer": { meaning: "The TDX module is not signed by Intel.", remedy: FORGED },
  "refused/tdx-module-version": {
    meaning: "Intel's TCB info does not know that version of the TDX module.",
    remedy: FETCH,
  },
  "refused/tdx-mrconfigid": {
    meaning: "MRCONFIGID is not the trust part of the node's configuration.",
    remedy: "Launch the TD with MRCONFIGID as `bootstrapper policy registers` prints it for that configuration.",
  },
  "refused/tdx-mrtd": { meaning: "The virtual firmware is not in the policy.", remedy: BY_POLICY },
  "refused/tdx-pce-id": { meaning: "The TCB info is of another provisioning enclave.", remedy: FETCH },
  "refused/tdx-platform": { meaning: "The platform is not in the policy.", remedy: BY_POLICY },
  "refused/tdx-qe-attributes": {
    meaning: "The attributes of the quoting enclave are not those that Intel published.",
    remedy: FORGED,
  },
  "refused/tdx-qe-identity-date": {
    meaning: "The identity of the quoting enclave is out of date or dated in the future.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/tdx-qe-identity-signature": {
    meaning: "The identity of the quoting enclave is not signed by Intel.",
    remedy: FETCH,
  },
  "refused/tdx-qe-level": { meaning: "The quoting enclave does not reach any of Intel's levels.", remedy: UPDATE },
  "refused/tdx-qe-miscselect": {
    meaning: "MISCSELECT of the quoting enclave is not the value that Intel published.",
    remedy: FORGED,
  },
  "refused/tdx-qe-product": { meaning: "The enclave is not the quoting enclave for TDs.", remedy: FORGED },
  "refused/tdx-qe-report-data": {
    meaning: "The quoting enclave does not vouch for the attestation key.",
    remedy: FORGED,
  },
  "refused/tdx-qe-signature": {
    meaning: "The report of the quoting enclave is not signed by the platform's key.",
    remedy: FORGED,
  },
  "refused/tdx-qe-signer": { meaning: "The quoting enclave is not Intel's.", remedy: FORGED },
  "refused/tdx-quote-signature": { meaning: "The quote is not signed by its attestation key.", remedy: FORGED },
  "refused/tdx-report-data": {
    meaning: "The quote was made for another connection: it is a replay.",
    remedy: "Run the command again. If it happens again, look for an attacker between both sides.",
  },
  "refused/tdx-root": { meaning: "A chain does not end in Intel's root.", remedy: FORGED },
  "refused/tdx-rtmr-0": { meaning: "RTMR 0, the VM's shape, has a value that is not allowed.", remedy: BY_POLICY },
  "refused/tdx-rtmr-1": { meaning: "RTMR 1, the kernel, has a value that is not allowed.", remedy: BY_POLICY },
  "refused/tdx-rtmr-2": {
    meaning: "RTMR 2, the arguments of the kernel, has a value that is not allowed.",
    remedy: BY_POLICY,
  },
  "refused/tdx-rtmr-3": {
    meaning: "RTMR 3, which holds the lock, has a value that is not allowed.",
    remedy: "Use a fresh machine for an init. For a join, build the node anew from its image.",
  },
  "refused/tdx-sept-ve-disable": {
    meaning: "The host can remove pages from the TD unnoticed.",
    remedy: BY_POLICY,
  },
  "refused/tdx-service-td": { meaning: "A service TD controls the TD.", remedy: BY_POLICY },
  "refused/tdx-signature-algorithm": {
    meaning: "A signature in a chain is of an algorithm that is not allowed.",
    remedy: FORGED,
    untested: GENERAL,
  },
  "refused/tdx-tcb-evaluation": {
    meaning: "Intel's statements on the platform are from an older evaluation than the policy allows.",
    remedy: FETCH,
  },
  "refused/tdx-tcb-info-date": {
    meaning: "The TCB info is out of date or dated in the future.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/tdx-tcb-info-signature": { meaning: "The TCB info is not signed by Intel.", remedy: FETCH },
  "refused/tdx-tcb-level": { meaning: "The platform does not reach any of Intel's TCB levels.", remedy: UPDATE },
  "refused/tdx-tcb-minimum": { meaning: "TEE_TCB_SVN is below the policy's minimum.", remedy: UPDATE },
  "refused/tdx-tcb-status": {
    meaning: "The policy does not allow Intel's status of the platform's TCB.",
    remedy: UPDATE,
  },
  "refused/tdx-xfam": {
    meaning: "The TD lacks an extended feature, or has one that the policy does not allow.",
    remedy: BY_POLICY,
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
