/**
 * Refusals of an SEV-SNP report.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const FORGED = "Do not trust the machine: its report or its certificates are forged or mixed up.";
const FETCH = "Get it again from AMD's key distribution service.";
const BY_POLICY = "Launch the VM as the policy wants it, or have an operator change the policy.";
const UPDATE = "Have the provider of the host update its firmware, or lower the minimum in the policy.";
const NO_SUCH = "the AMD of the tests issues no authority of that form";
const GENERAL = "the readers of certificates have the test, under the code without snp-";

/** An SNP report is refused. */
export const REFUSED_SNP = {
  "refused/snp-author-key": { meaning: "The VM's ID key is by another author.", remedy: BY_POLICY },
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
    meaning: "AMD's root or the authority of the signing key is not valid yet, or not any more.",
    remedy: "Check the clocks.",
    untested: NO_SUCH,
  },
  "refused/snp-banned-chip-id": {
    meaning: "The policy bans the chip, or bans chips and the host hides which one this is.",
    remedy: "Run the VM on another host.",
  },
  "refused/snp-certificate-constraints": {
    meaning: "The certificate of the signing key is that of a CA.",
    remedy: FORGED,
  },
  "refused/snp-certificate-issuer": {
    meaning: "The certificate of the signing key is not by an authority of AMD's.",
    remedy: FORGED,
  },
  "refused/snp-certificate-key": { meaning: "The signing key is not a P-384 key.", remedy: FORGED },
  "refused/snp-certificate-product": {
    meaning: "The certificate of the signing key is of a processor that its authority is not for.",
    remedy: FORGED,
  },
  "refused/snp-certificate-revoked": {
    meaning: "AMD has revoked the authority of the signing key.",
    remedy: "Do not trust the machine. Get certificates by AMD's new authority.",
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
    meaning: "The signing key is of another TCB than the one that is reported.",
    remedy: "Give the host the certificate for its present TCB.",
  },
  "refused/snp-certificate-validity": {
    meaning: "The certificate of the signing key is not valid yet, or not any more.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/snp-chip-id": { meaning: "The chip is not one that the policy names.", remedy: BY_POLICY },
  "refused/snp-collateral": {
    meaning: "A certificate or AMD's list of revoked certificates is missing.",
    remedy: "Put the document that the error names into the collateral folder or cache.",
  },
  "refused/snp-committed-tcb": {
    meaning: "The firmware that runs is older than what it is committed to.",
    remedy: FORGED,
  },
  "refused/snp-critical-extension": {
    meaning: "A certificate of the chain has a critical extension that is not known.",
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
    meaning: "The list of revoked certificates is out of date, or from the future.",
    remedy: "Check the clocks. " + FETCH,
  },
  "refused/snp-current-tcb": {
    meaning: "The signing key is of a newer TCB than the one that runs.",
    remedy: FORGED,
  },
  "refused/snp-debug": { meaning: "The host may debug the VM, and so read its memory.", remedy: BY_POLICY },
  "refused/snp-guest-policy": {
    meaning: "A bit of the guest policy is not as the policy wants it.",
    remedy: BY_POLICY,
  },
  "refused/snp-hardware-id": { meaning: "The report is of another chip than its signing key.", remedy: FORGED },
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
    meaning: "The host reports an older TCB than the one that runs.",
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
    meaning: "A bit of the platform's state is not as the policy wants it.",
    remedy: "Run the VM on a host that is configured as the policy wants it, or change the policy.",
  },
  "refused/snp-processor": { meaning: "The report is of another line of processors than its chain.", remedy: FORGED },
  "refused/snp-product": { meaning: "The policy does not let in that line of processors.", remedy: BY_POLICY },
  "refused/snp-provider": {
    meaning: "The report is signed for a cloud that the policy does not name.",
    remedy: BY_POLICY,
  },
  "refused/snp-report-data": {
    meaning: "The report was made for another connection: it is a replay.",
    remedy: "Run the command again. If it happens again, look for somebody between both sides.",
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
    meaning: "The report is signed by a kind of key that the policy does not allow, or by none.",
    remedy: BY_POLICY,
  },
  "refused/snp-vmpl": {
    meaning: "The report was asked for at another privilege level than the kernel's.",
    remedy: FORGED,
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
