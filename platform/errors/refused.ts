/**
 * Errors of the family `refused` that are about the protocol, certificates and policies in general; those of a kind of
 * evidence have files of their own.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const OTHER_CLUSTER = "Look which cluster the certificate is of: a member of another cluster may use the same address.";
const NOT_OURS = "Find out what made the certificate: the bootstrapper issues none of that form.";
const NOT_HONEST = "Find out what runs at the peer: no honest node or join service sends this.";
const NEW_LIST = "Fetch the list again from the manufacturer, and check the clocks.";
const NEW_CSR = "Find out what made the request: the bootstrapper and kubelets make none of that form.";
const LOOK_AT_KUBELET = "Find out what runs on that node: its kubelet does not make such a request.";

/** A machine is refused for what it shows or claims. */
export const REFUSED = {
  "refused/activation": {
    meaning: "The node did not answer the challenge of its TPM: the endorsement key is not in its TPM.",
    remedy: "Find out what machine it is: its evidence was borrowed or made up.",
  },
  "refused/cluster-name": {
    meaning: "The request of an init is for a cluster of another name than the node's configuration has.",
    remedy: "Give `--name` the name in trust.clusterName of the node's configuration.",
  },
  "refused/evidence": { meaning: "The node sent no evidence.", remedy: NOT_HONEST },
  "refused/founding": {
    meaning: "The join service shows no founding of its cluster by an operator of the node.",
    remedy: "Look at join.endpoints and trust in the node's configuration: it trusts another cluster.",
  },
  "refused/founding-cluster-id": {
    meaning: "The founding is for another cluster ID.",
    remedy: "Look at trust.clusterId in the node's configuration.",
  },
  "refused/founding-name": {
    meaning: "The founding is for a cluster of another name.",
    remedy: "Look at trust.clusterName in the node's configuration.",
  },
  "refused/founding-operator": {
    meaning: "The founding is not by an operator of the node.",
    remedy: "Look at trust.operatorKeys in the node's configuration.",
  },
  "refused/identity": {
    meaning: "The node has another identity than `--expect-identity` says.",
    remedy: "Check the node's address. If it is right, find out what machine answers there.",
  },
  "refused/identity-banned": {
    meaning: "The policy bans the machine's identity.",
    remedy: "Replace the machine, or have an operator take the identity from the list in the policy.",
  },
  "refused/node-address": {
    meaning: "The node claims an address that other nodes cannot reach, or that belongs to the cluster itself.",
    remedy: "Give the machine an address of its own: node.address in its configuration, or on its interface.",
  },
  "refused/node-certificate": {
    meaning: "The cluster denied the node's certificate, or failed to sign it.",
    remedy: "Look at the CertificateSigningRequest and at the log of kube-controller-manager.",
  },
  "refused/node-name": {
    meaning: "The node claims a name that the policy does not allow, or by which others know the API server.",
    remedy: "Give the node another name, or have an operator change names in the policy.",
  },
  "refused/policy-variant": {
    meaning: "A new policy would make a join service that wants proof insecure, or the reverse.",
    remedy: "Found another cluster with the other policy.",
  },
  "refused/reset-count": {
    meaning: "The machine's TPM counts fewer resets than at its last admission: it was rolled back or cloned.",
    remedy: "Find out who did so before you admit the machine again.",
  },
  "refused/role": {
    meaning: "The policy does not let the machine be a control plane.",
    remedy: "Configure the node as a worker, or have an operator add its identity to the policy.",
    sometimes:
      "an identity that is made anew with the machine is known only after it asked, so that machine asks again",
  },
  "refused/sealed-kit": {
    meaning: "A control plane's kit was sealed to another key or exchange, was changed, or holds keys that do not fit.",
    remedy: "Look at the files below /etc/kubernetes/pki on the control plane that issued the ticket.",
  },
  "refused/signature": { meaning: "A message is not signed by the key that it must be signed by.", remedy: NOT_HONEST },
  "refused/variant": {
    meaning: "The evidence is of another kind than the policy wants.",
    remedy: "Set evidence.variant in the node's configuration to the policy's variant.",
  },
  "refused/variants": {
    meaning: "Evidence of several kinds does not have the kinds that the policy wants, each once and in its order.",
    remedy: "Set evidence.variant in the node's configuration to the policy's variant.",
  },
} as const satisfies ErrorEntries<`refused/${string}`>;

/** A kubelet's request for a serving certificate is not approved. */
export const REFUSED_SERVING = {
  "refused/serving-address": {
    meaning: "A node asks for a serving certificate for an address that is not in its admission record.",
    remedy: "Look whether the node's address changed. If so, remove the node and let it join again.",
  },
  "refused/serving-decided": { meaning: "The request was approved or denied before.", remedy: "Nothing." },
  "refused/serving-dns-name": {
    meaning: "A node asks for a serving certificate for a DNS name that is not its own.",
    remedy: LOOK_AT_KUBELET,
  },
  "refused/serving-groups": { meaning: "The requester is not in the groups of a node.", remedy: LOOK_AT_KUBELET },
  "refused/serving-key-type": { meaning: "The key is neither P-256 nor RSA.", remedy: LOOK_AT_KUBELET },
  "refused/serving-name-kind": {
    meaning: "A name in the request is neither a DNS name nor an address.",
    remedy: LOOK_AT_KUBELET,
  },
  "refused/serving-no-name": { meaning: "The request has no name and no address.", remedy: LOOK_AT_KUBELET },
  "refused/serving-record": {
    meaning: "A node without an admission record asks for a serving certificate.",
    remedy: "Find out how that node came into the cluster: the join service did not admit it.",
  },
  "refused/serving-requester": { meaning: "The requester is not a node.", remedy: LOOK_AT_KUBELET },
  "refused/serving-signer": { meaning: "The request is for another signer.", remedy: "Nothing: others decide on it." },
  "refused/serving-subject": { meaning: "The subject is not that of the requesting node.", remedy: LOOK_AT_KUBELET },
  "refused/serving-usages": {
    meaning: "The usages of the key are not those of a serving certificate.",
    remedy: LOOK_AT_KUBELET,
  },
} as const satisfies ErrorEntries<`refused/${string}`>;

/** A certificate, a key, a request or a list of revoked certificates is refused. */
export const REFUSED_CERTIFICATES = {
  "refused/ca-cluster-id": { meaning: "The CA is not that of the cluster.", remedy: OTHER_CLUSTER },
  "refused/ca-constraints": { meaning: "The certificate of the cluster's CA is not that of a CA.", remedy: NOT_OURS },
  "refused/ca-issuer": { meaning: "The cluster's CA is not its own issuer.", remedy: NOT_OURS },
  "refused/ca-key-usage": { meaning: "The cluster's CA may not sign certificates.", remedy: NOT_OURS },
  "refused/certificate-constraints": {
    meaning: "A certificate is that of a CA where it must not be.",
    remedy: NOT_OURS,
  },
  "refused/certificate-issuer": { meaning: "A certificate is of another issuer.", remedy: OTHER_CLUSTER },
  "refused/certificate-key": { meaning: "A certificate is for another key.", remedy: OTHER_CLUSTER },
  "refused/certificate-key-usage": { meaning: "The key of a certificate may not sign.", remedy: NOT_OURS },
  "refused/certificate-names": { meaning: "A client certificate carries alternative names.", remedy: NOT_OURS },
  "refused/certificate-revoked": {
    meaning: "The manufacturer has revoked a certificate.",
    remedy: "Do not trust the machine. Ask the manufacturer why.",
  },
  "refused/certificate-signature": {
    meaning: "A certificate is not signed by the key of its issuer.",
    remedy: OTHER_CLUSTER,
  },
  "refused/certificate-subject": { meaning: "A certificate has another subject.", remedy: OTHER_CLUSTER },
  "refused/certificate-usage": { meaning: "A certificate is not for clients.", remedy: NOT_OURS },
  "refused/certificate-validity": {
    meaning: "A certificate is not valid yet, or not any more.",
    remedy: "Check the clocks. If they are right, renew the certificate.",
  },
  "refused/critical-extension": {
    meaning: "A certificate has a critical extension that is not known.",
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
    meaning: "A list of revoked certificates is out of date, or from the future.",
    remedy: NEW_LIST,
  },
  "refused/csr-attributes": {
    meaning: "A request for a certificate has attributes that are not read.",
    remedy: NEW_CSR,
  },
  "refused/csr-extensions": {
    meaning: "A request for a serving certificate asks for other extensions than names.",
    remedy: NEW_CSR,
  },
  "refused/csr-key": {
    meaning: "A request for a certificate is for another key than the evidence binds.",
    remedy: NEW_CSR,
  },
  "refused/csr-signature": { meaning: "A request for a certificate is not signed by its own key.", remedy: NEW_CSR },
  "refused/csr-subject": {
    meaning: "A request for a certificate has another subject than its node's.",
    remedy: NEW_CSR,
  },
  "refused/key": {
    meaning: "A private key of a control plane's kit is not that of its certificate or public key.",
    remedy: "Look at the files below /etc/kubernetes/pki on the control plane that issued the ticket.",
    untested: "it is a cause of `refused/sealed-kit`, and the tests see that code",
  },
  "refused/key-type": {
    meaning: "A key is of a type or a size that is not allowed there.",
    remedy: "Use a key of the type that the error names.",
  },
  "refused/signature-algorithm": {
    meaning: "A signature is of an algorithm that is not allowed, or that does not fit its key.",
    remedy: "Use SHA-256 or SHA-384 with Ed25519, ECDSA or RSA of 2048 bits or more.",
  },
  "refused/validity": {
    meaning: "A CA of a control plane's kit is not valid yet, or not any more.",
    remedy: "Check the clocks, and renew the CA on the control plane that issued the ticket.",
    untested: "it is a cause of `refused/sealed-kit`, and the tests see that code",
  },
} as const satisfies ErrorEntries<`refused/${string}`>;
