/**
 * Errors of the family `refused` about the protocol, certificates and policies in general. Those of a kind of evidence
 * have their own files.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const OTHER_CLUSTER = "Check the cluster of the certificate: a member of another cluster may use the same address.";
const NOT_OURS = "Find the issuer of the certificate: the bootstrapper issues none of that form.";
const NOT_HONEST = "Find the program that runs at the peer: no honest node or join service sends this.";
const NEW_LIST = "Fetch the list again from the manufacturer, and check the clocks.";
const NEW_CSR = "Find the program that created the request: the bootstrapper creates none of that form.";

/** A machine that is refused because of its evidence or its claims. */
export const REFUSED = {
  "refused/activation": {
    meaning: "The node did not answer the challenge of its TPM: the endorsement key is not in its TPM.",
    remedy: "Identify the machine: its evidence was borrowed or forged.",
  },
  "refused/backup": {
    meaning: "A backup was changed or cut, or its snapshot does not have etcd's hash.",
    remedy: "Take another copy of the file, or an earlier backup.",
  },
  "refused/backup-cluster": {
    meaning: "A backup is of another cluster than the one that was named.",
    remedy: "Give a backup of that cluster, or name the other one.",
  },
  "refused/backup-key": {
    meaning: "A backup was not sealed to the key that was given.",
    remedy: "Give the key of one of the recipients that the error names.",
  },
  "refused/cluster-name": {
    meaning: "The request for an init has another cluster name than the node's configuration.",
    remedy: "Give `--name` the name in trust.clusterName of the node's configuration.",
  },
  "refused/evidence": { meaning: "The node sent no evidence.", remedy: NOT_HONEST },
  "refused/founding": {
    meaning: "The join service does not prove that an operator of the node founded its cluster.",
    remedy: "Check join.endpoints and trust in the node's configuration: it trusts another cluster.",
  },
  "refused/founding-cluster-id": {
    meaning: "The founding is for another cluster ID.",
    remedy: "Check trust.clusterId in the node's configuration.",
  },
  "refused/founding-name": {
    meaning: "The founding is for a cluster of another name.",
    remedy: "Check trust.clusterName in the node's configuration.",
  },
  "refused/founding-operator": {
    meaning: "The founding is not by an operator of the node.",
    remedy: "Check trust.operatorKeys in the node's configuration.",
  },
  "refused/identity": {
    meaning: "The node has another identity than `--expect-identity` says.",
    remedy: "Check the node's address. If it is correct, identify the machine that answers there.",
  },
  "refused/identity-banned": {
    meaning: "The policy bans the machine's identity.",
    remedy: "Replace the machine, or have an operator remove the identity from the bans in the policy.",
  },
  "refused/identity-key": {
    meaning: "The evidence is of another machine than the identity key that signed the request.",
    remedy: "Identify the machine: its evidence was borrowed.",
  },
  "refused/node-address": {
    meaning: "The node claims an address that other nodes cannot reach, or that belongs to the cluster itself.",
    remedy: "Give the machine an address of its own: node.address in its configuration, or on its interface.",
  },
  "refused/node-name": {
    meaning: "The node claims a name that the policy does not allow, or that is a name of the API server.",
    remedy: "Give the node another name, or have an operator change names in the policy.",
  },
  "refused/not-admitted": {
    meaning: "A machine asks for new certificates, but it is not admitted under its name and role.",
    remedy: "If the machine was removed by mistake, build it anew from its image and let it join again.",
  },
  "refused/policy-variant": {
    meaning: "A new policy would make a join service that requires proof insecure, or the reverse.",
    remedy: "Found another cluster with the other policy.",
  },
  "refused/removed": {
    meaning: "An operator has removed the machine from the cluster.",
    remedy: "If the machine may return, delete its NodeAdmission, and build the node anew from its image.",
  },
  "refused/reset-count": {
    meaning: "The machine's TPM counts fewer resets than at its last admission: it was rolled back or cloned.",
    remedy: "Find the cause before you admit the machine again.",
  },
  "refused/role": {
    meaning: "The policy does not let the machine be a control plane.",
    remedy: "Configure the node as a worker, or have an operator add its identity to the policy.",
    sometimes:
      "a machine that gets a new identity at each start is known only after its first request, so it tries again",
  },
  "refused/sealed-kit": {
    meaning:
      "A control plane's kit was sealed to another key or exchange, was changed, or contains keys that do not match.",
    remedy: "Check the files below /etc/kubernetes/pki on the control plane that issued the ticket.",
  },
  "refused/signature": { meaning: "A message is not signed by the required key.", remedy: NOT_HONEST },
  "refused/token-founding": {
    meaning:
      "The cluster does not prove that it was founded with the node's founding token, for the node's trust part.",
    remedy:
      "Compare `trust`, `evidence.variant` and the switches in the node's configuration with those of the founders, and check join.endpoints.",
  },
  "refused/token-join": {
    meaning: "A machine that is to be a control plane does not show the founding token of the cluster.",
    remedy: "Give the machine the token as the credential `bootstrapper.token`, or configure it as a worker.",
  },
  "refused/variant": {
    meaning: "The evidence is of another kind than the policy requires.",
    remedy: "Set evidence.variant in the node's configuration to the policy's variant.",
  },
  "refused/variants": {
    meaning: "Evidence of several kinds does not have the kinds that the policy requires, each once and in its order.",
    remedy: "Set evidence.variant in the node's configuration to the policy's variant.",
  },
} as const satisfies ErrorEntries<`refused/${string}`>;

/** A certificate, a key, a request or a list of revoked certificates that is refused. */
export const REFUSED_CERTIFICATES = {
  "refused/ca-cluster-id": { meaning: "The CA is not that of the cluster.", remedy: OTHER_CLUSTER },
  "refused/ca-constraints": {
    meaning: "The certificate of the cluster's CA is not a CA certificate.",
    remedy: NOT_OURS,
  },
  "refused/ca-issuer": { meaning: "The cluster's CA is not its own issuer.", remedy: NOT_OURS },
  "refused/ca-key-usage": { meaning: "The cluster's CA may not sign certificates.", remedy: NOT_OURS },
  "refused/certificate-constraints": {
    meaning: "A certificate is a CA certificate but must not be one.",
    remedy: NOT_OURS,
  },
  "refused/certificate-issuer": { meaning: "A certificate is of another issuer.", remedy: OTHER_CLUSTER },
  "refused/certificate-key": { meaning: "A certificate is for another key.", remedy: OTHER_CLUSTER },
  "refused/certificate-key-usage": { meaning: "The key of a certificate may not sign.", remedy: NOT_OURS },
  "refused/certificate-names": {
    meaning: "A certificate's alternative names are not the expected ones.",
    remedy: NOT_OURS,
  },
  "refused/certificate-revoked": {
    meaning: "The manufacturer has revoked a certificate.",
    remedy: "Do not trust the machine. Ask the manufacturer for the reason.",
  },
  "refused/certificate-signature": {
    meaning: "A certificate is not signed by the key of its issuer.",
    remedy: OTHER_CLUSTER,
  },
  "refused/certificate-subject": { meaning: "A certificate has another subject.", remedy: OTHER_CLUSTER },
  "refused/certificate-usage": { meaning: "A certificate is for another usage.", remedy: NOT_OURS },
  "refused/certificate-validity": {
    meaning: "A certificate is not yet valid or has expired.",
    remedy:
      "Check the clocks. If they are correct, renew the certificate: a join service's and kubeadm's by `bootstrapper control-plane renew --now` on the control plane, a node's own by `bootstrapper renew --now`.",
  },
  "refused/critical-extension": {
    meaning: "A certificate has a critical extension that this version does not know.",
    remedy: NOT_OURS,
  },
  "refused/crl-extension": {
    meaning: "A list of revoked certificates has a critical extension, so it is not the whole list.",
    remedy: NEW_LIST,
  },
  "refused/crl-issuer": { meaning: "A list of revoked certificates is of another issuer.", remedy: NEW_LIST },
  "refused/crl-key-usage": {
    meaning: "The issuer of a list of revoked certificates may not sign such lists.",
    remedy: NEW_LIST,
  },
  "refused/crl-signature": {
    meaning: "A list of revoked certificates is not signed by its issuer.",
    remedy: NEW_LIST,
  },
  "refused/crl-validity": {
    meaning: "A list of revoked certificates is out of date or dated in the future.",
    remedy: NEW_LIST,
  },
  "refused/csr-attributes": {
    meaning: "A request for a certificate has attributes that are not read.",
    remedy: NEW_CSR,
  },
  "refused/csr-key": {
    meaning: "A request for a certificate is for another key than the one in the evidence.",
    remedy: NEW_CSR,
  },
  "refused/csr-serving-key": {
    meaning: "A node asks for both of its certificates with one key.",
    remedy: NEW_CSR,
  },
  "refused/csr-signature": { meaning: "A request for a certificate is not signed by its own key.", remedy: NEW_CSR },
  "refused/csr-subject": {
    meaning: "A request for a certificate does not have the subject of its node.",
    remedy: NEW_CSR,
  },
  "refused/key": {
    meaning: "A private key of a control plane's kit does not match its certificate or public key.",
    remedy: "Check the files below /etc/kubernetes/pki on the control plane that issued the ticket.",
    untested: "it is a cause of `refused/sealed-kit`, and the tests see that code",
  },
  "refused/key-type": {
    meaning: "A key is of a type or a size that is not allowed there.",
    remedy: "Use a key of the type that the error names.",
  },
  "refused/signature-algorithm": {
    meaning: "A signature has an algorithm that is not allowed or that does not match its key.",
    remedy: "Use SHA-256 or SHA-384 with Ed25519, ECDSA or RSA of 2048 bits or more.",
  },
  "refused/validity": {
    meaning: "A CA of a control plane's kit is not yet valid or has expired.",
    remedy: "Check the clocks, and renew the CA on the control plane that issued the ticket.",
    untested: "it is a cause of `refused/sealed-kit`, and the tests see that code",
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
