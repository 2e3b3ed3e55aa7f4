/**
 * Refusals of an SEV-SNP report.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const FORGED = "Do not trust the machine: its report or its certificates are forged or mixed up.";
const FETCH = "Get it again from AMD's key distribution service.";
const BY_POLICY = "Launch the VM as the policy requires, or have an operator change the policy.";
const UPDATE = "Have the provider of the host update its firmware, or lower the minimum in the policy.";
const NO_SUCH = "the simulated AMD of the tests issues no authority of that form";
const GENERAL = "the test is with the reader of certificates, under the code without snp-";

/** An SNP report that is refused. */
export const REFUSED_SNP = {
  "refused/snp-author-key": { meaning: "The VM's ID key is from another author.", remedy: BY_POLICY },
  "refused/snp-authority-constraints": {
    meaning: "The authority of the signing key is not a CA.",
    remedy: FETCH,
    untested: NO_SUCH,
  },
  "refused/snp-authority-key-usage": {
    meaning: "The authority of the signing key may not sign certificates.",
    remedy: FETCH,
    untested: NO_SUCH,
  },
  "refused/snp-authority-subject": {
    meaning: "The authority of the signing key is not AMD's for that line of processors.",
    remedy: FETCH,
  },
  "refused/snp-authority-validity": {
    meaning: "AMD's root or the authority of the signing key is not yet valid or has expired.",
    remedy: "Check the clocks.",
    untested: NO_SUCH,
  },
  "refused/snp-banned-chip-id": {
    meaning: "The policy bans the chip, or it bans chips and the host hides the ID of this chip.",
    remedy: "Run the VM on another host.",
  },
  "refused/snp-certificate-constraints": {
    meaning: "The certificate of the signing key is a CA certificate.",
    remedy: FORGED,
  },
  "refused/snp-certificate-issuer": {
    meaning: "The certificate of the signing key is not from an AMD authority.",
    remedy: FORGED,
  },
  "refused/snp-certificate-key": { meaning: "The signing key is not a P-384 key.", remedy: FORGED },
  "refused/snp-certificate-product": {
    meaning: "The certificate of the signing key is of a processor that its authority does not cover.",
    remedy: FORGED,
  },
  "refused/snp-certificate-revoked": {
    meaning: "AMD has revoked the authority of the signing key.",
    remedy: "Do not trust the machine. Get certificates from AMD's new authority.",
  },
  "refused/snp-certificate-signature": {
    meaning: "A certificate of the chain is not signed by its issuer.",
    remedy: FORGED,
  },
  "refused/snp-certificate-subject": {
    meaning: "The certificate is not that of a VCEK or VLEK.",
    remedy: FORGED,
  },
  "refused/snp-certificate-tcb": {
    meaning: "The signing key is of another TCB than the reported one.",
    remedy: "Give the host the certificate for its present TCB.",
  },
  "refused/snp-certificate-validity": {
    meaning: "The certificate of the signing key is not yet valid or has expired.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/snp-chip-id": { meaning: "The chip is not one that the policy names.", remedy: BY_POLICY },
  "refused/snp-collateral": {
    meaning: "A certificate or AMD's list of revoked certificates is missing.",
    remedy: "Put the document that the error names into the collateral folder or cache.",
  },
  "refused/snp-committed-tcb": {
    meaning: "The running firmware is older than its committed version.",
    remedy: FORGED,
  },
  "refused/snp-critical-extension": {
    meaning: "A certificate of the chain has a critical extension that this version does not know.",
    remedy: FORGED,
  },
  "refused/snp-crl-extension": {
    meaning: "AMD's list of revoked certificates is not the whole list.",
    remedy: FETCH,
    untested: GENERAL,
  },
  "refused/snp-crl-issuer": { meaning: "The list of revoked certificates is of another issuer.", remedy: FETCH },
  "refused/snp-crl-key-usage": {
    meaning: "AMD's root may not sign lists of revoked certificates.",
    remedy: FETCH,
    untested: GENERAL,
  },
  "refused/snp-crl-signature": {
    meaning: "The list of revoked certificates is not signed by AMD's root.",
    remedy: FETCH,
  },
  "refused/snp-crl-validity": {
    meaning: "The list of revoked certificates is out of date or dated in the future.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/snp-current-tcb": {
    meaning: "The signing key is of a newer TCB than the running one.",
    remedy: FORGED,
  },
  "refused/snp-debug": { meaning: "The host may debug the VM, and can thus read its memory.", remedy: BY_POLICY },
  "refused/snp-guest-policy": {
    meaning: "A bit of the guest policy differs from the policy.",
    remedy: BY_POLICY,
  },
  "refused/snp-hardware-id": {
    meaning: "The report is of another chip than its signing key, or the host masks which chip it is of.",
    remedy: FORGED,
  },
  "refused/snp-host-data": {
    meaning: "HOST_DATA is not the digest of the trust part of the node's configuration.",
    remedy: "Launch the VM with HOST_DATA as `bootstrapper policy registers` prints it for that configuration.",
  },
  "refused/snp-id-key": { meaning: "The VM was launched with another ID key.", remedy: BY_POLICY },
  "refused/snp-key-type": {
    meaning: "A key of the chain is of a type that is not allowed.",
    remedy: FORGED,
    untested: GENERAL,
  },
  "refused/snp-lagging-tcb": {
    meaning: "The host reports an older TCB than the running one.",
    remedy: "Have the provider commit the firmware, or allow a lagging TCB in the policy.",
  },
  "refused/snp-launch-tcb": {
    meaning: "The VM was launched by older firmware than the policy allows.",
    remedy: "Launch the VM again. " + UPDATE,
  },
  "refused/snp-measurement": {
    meaning: "The VM was launched from another image, or with another number of processors.",
    remedy: BY_POLICY,
  },
  "refused/snp-migration-agent": { meaning: "The VM may be migrated by an agent.", remedy: BY_POLICY },
  "refused/snp-minimum-tcb": { meaning: "The host's firmware is older than the policy allows.", remedy: UPDATE },
  "refused/snp-platform-info": {
    meaning: "A bit of the platform's state differs from the policy.",
    remedy: "Run the VM on a host that is configured as the policy requires, or change the policy.",
  },
  "refused/snp-processor": { meaning: "The report is of another line of processors than its chain.", remedy: FORGED },
  "refused/snp-product": { meaning: "The policy does not admit that line of processors.", remedy: BY_POLICY },
  "refused/snp-provider": {
    meaning: "The report is signed for a cloud that the policy does not name.",
    remedy: BY_POLICY,
  },
  "refused/snp-report-data": {
    meaning: "The report was made for another connection: it is a replay.",
    remedy: "Run the command again. If it happens again, look for an attacker between both sides.",
  },
  "refused/snp-report-version": {
    meaning: "The report is of a later version than this program knows, so its fields may mean something else.",
    remedy: "Use a newer version of the bootstrapper where evidence is verified.",
  },
  "refused/snp-reserved": {
    meaning: "The report uses reserved bits or bytes, and the policy requires zeros.",
    remedy:
      "Have an operator remove snp.requiresZeroReserved from the policy, if the host's firmware is to be trusted.",
  },
  "refused/snp-report-signature": {
    meaning: "The report is not signed by the key of its certificate.",
    remedy: FORGED,
  },
  "refused/snp-signature-algorithm": {
    meaning: "The report or a certificate is signed by an algorithm that is not allowed.",
    remedy: FORGED,
  },
  "refused/snp-signing-key": {
    meaning: "The report is unsigned, or signed by a kind of key that the policy does not allow.",
    remedy: BY_POLICY,
  },
  "refused/snp-vmpl": {
    meaning: "The report was requested at another privilege level than the kernel's.",
    remedy: FORGED,
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
