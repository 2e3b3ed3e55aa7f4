/**
 * What JSON Schemas say of the keys of documents: a description, and the form of texts that only code checks otherwise. A form
 * takes every text that the reader takes.
 *
 * @module
 */

/** What a JSON Schema says of a key. */
export interface KeyText {
  readonly description: string;
  /** A regular expression of ECMA-262. */
  readonly pattern?: string;
  readonly examples?: readonly unknown[];
}

/** By the key's path, with `[]` for the entries of a list, and `{}` for the values of a map. */
export type KeyTexts = Readonly<Record<string, KeyText>>;

const LABEL = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
const NODE_NAME = "^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$";
const ADDRESSES = "^[0-9A-Fa-f:.]+(?:,[0-9A-Fa-f:.]+)?$";
const NETWORKS = "^[0-9A-Fa-f:.]+/[0-9]{1,3}(?:,[0-9A-Fa-f:.]+/[0-9]{1,3})?$";
const HOST = "(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)";
const ENDPOINT = `^${HOST}:[0-9]{1,5}$`;
const ENDPOINT_OR_HOST = `^${HOST}(?::[0-9]{1,5})?$`;
const DURATION = "^(?=[0-9])(?:[0-9]{1,5}h)?(?:[0-9]{1,5}m)?(?:[0-9]{1,5}s)?$";
const DURATION_FORM = 'in whole hours, minutes and seconds, as in "4m" or "1h30m"';

/** Of a cluster document. */
export const CLUSTER_TEXTS: KeyTexts = {
  kubernetesVersion: {
    description: "The version of the control plane. Only releases are taken; kubeadm on the node must be of it.",
    pattern: "^v1\\.[1-9][0-9]{0,2}\\.(?:0|[1-9][0-9]{0,2})$",
    examples: ["v1.36.3"],
  },
  controlPlaneEndpoint: {
    description:
      "Where nodes and operators reach the API server: HOST:PORT of a load balancer or a DNS name. It cannot be " +
      "changed later. Default: the address of the initialising node, port 6443.",
    pattern: ENDPOINT,
    examples: ["k8s.example.org:6443"],
  },
  podSubnet: {
    description:
      "The network of Pods, CIDR; for dual stack one of each family with a comma between them. Without it no node " +
      "gets a range of its own.",
    pattern: NETWORKS,
    examples: ["10.244.0.0/16", "10.244.0.0/16,fd00:244::/56"],
  },
  serviceSubnet: {
    description:
      "The network of Services, CIDR; for dual stack one of each family with a comma between them. Default: " +
      "10.96.0.0/12.",
    pattern: NETWORKS,
    examples: ["10.96.0.0/12", "10.96.0.0/16,fd00:96::/112"],
  },
  kubeProxy: { description: "Whether kubeadm installs kube-proxy, by which Pods reach Services." },
  coreDns: { description: "Whether kubeadm installs CoreDNS, the cluster's DNS." },
  timeouts: { description: "How long kubeadm waits for each thing before it gives up." },
  "timeouts.controlPlaneComponentHealthCheck": {
    description: `Until the API server, the controller manager and the scheduler are healthy: ${DURATION_FORM}.`,
    pattern: DURATION,
  },
  "timeouts.kubeletHealthCheck": {
    description: `Until the kubelet is healthy: ${DURATION_FORM}.`,
    pattern: DURATION,
  },
  "timeouts.kubernetesAPICall": {
    description: `For one request to the API server: ${DURATION_FORM}.`,
    pattern: DURATION,
  },
  "timeouts.etcdAPICall": { description: `For one request to etcd: ${DURATION_FORM}.`, pattern: DURATION },
  "timeouts.tlsBootstrap": {
    description: `Until the kubelet gets its certificate: ${DURATION_FORM}.`,
    pattern: DURATION,
  },
  "timeouts.discovery": { description: `Until the API server is found: ${DURATION_FORM}.`, pattern: DURATION },
  etcd: { description: "How patient etcd's members are with each other." },
  "etcd.heartbeatIntervalMs": {
    description: "How often the leader sends a heartbeat, milliseconds. etcd's default is 100.",
  },
  "etcd.electionTimeoutMs": {
    description: "How long a member waits for a heartbeat before it starts an election, milliseconds: at least five " +
      "heartbeats. etcd's default is 1000.",
  },
  leaderElection: { description: "How patient controller managers and schedulers are with the API server." },
  "leaderElection.leaseDuration": {
    description: `How long the others wait before they take over: ${DURATION_FORM}; longer than renewDeadline.`,
    pattern: DURATION,
  },
  "leaderElection.renewDeadline": {
    description: `How long the leader tries to renew its lead: ${DURATION_FORM}; longer than 1.2 times retryPeriod.`,
    pattern: DURATION,
  },
  "leaderElection.retryPeriod": {
    description: `The time between two attempts: ${DURATION_FORM}.`,
    pattern: DURATION,
  },
  nodeCertificateLifetime: {
    description: "How long a node stays a member without proving itself again: from 1h to 8760h.",
    pattern: DURATION,
    examples: ["168h"],
  },
};

/** Of a node's configuration. */
export const NODE_TEXTS: KeyTexts = {
  version: { description: "The version of the document's format." },
  trust: { description: "Whom the node obeys. It is measured into PCR 12 before any port opens." },
  "trust.clusterName": {
    description: "The cluster's name, an RFC 1123 label. The node inits or joins only a cluster of this name.",
    pattern: LABEL,
    examples: ["demo"],
  },
  "trust.clusterId": {
    description:
      "The cluster ID, where it is known: `bootstrapper init` prints it. The node then joins this cluster, and never " +
      "inits one.",
    pattern: "^sha256:[0-9a-f]{64}$",
  },
  "trust.operatorKeys": { description: "The operators' public keys. Each of them may initialise the node." },
  "trust.operatorKeys[]": {
    description: "A line that `bootstrapper keygen` prints, or PEM of a public key: Ed25519.",
    pattern: "^\\s*(?:ssh-ed25519[ \\t]+[A-Za-z0-9+/=]+|-----BEGIN PUBLIC KEY-----)",
  },
  "trust.founding": {
    description:
      "How machines found the cluster among equals: the same on every node of the cluster. It needs a policy, a " +
      "tokenKey, or both.",
  },
  "trust.founding.size": { description: "Exactly so many machines found the cluster. An odd number is better." },
  "trust.founding.policy": {
    description:
      "Whom a founder, and a node that joins, takes for a control plane: the policy itself, not the name of a file.",
  },
  "trust.founding.tokenKey": {
    description:
      "The token key that `bootstrapper token new --founding` prints. The token itself is a secret: it is the " +
      "credential bootstrapper.token.",
    pattern: "^[A-Za-z0-9+/=\\s]+$",
  },
  node: { description: "The node itself." },
  "node.name": {
    description: "The Node's name, an RFC 1123 subdomain of at most 63 characters. Default: the host name.",
    pattern: NODE_NAME,
    examples: ["worker-1"],
  },
  "node.address": {
    description:
      "The IP address by which the other nodes reach this one; in a cluster of both families one of each, with a comma " +
      "between them. Default: that of the interface with the default route.",
    pattern: ADDRESSES,
    examples: ["10.77.0.21", "10.77.0.21,fd00:77::21"],
  },
  "node.addressFrom": {
    description: "Instead of address: the network in which the machine's only address is, CIDR; or one of each family.",
    pattern: NETWORKS,
    examples: ["10.77.0.0/24"],
  },
  "node.role": { description: "What the node asks to become; the cluster's policy decides. Default: worker." },
  nodeRegistration: { description: "How the Node registers, as kubeadm has it." },
  "nodeRegistration.labels": {
    description: "Labels of the Node, but for those that a node may not give itself.",
    examples: [{ "topology.kubernetes.io/zone": "a" }],
  },
  "nodeRegistration.labels{}": { description: "A label's value." },
  "nodeRegistration.taints": {
    description: "Taints of the Node. A control plane without any runs everybody's Pods: [].",
  },
  "nodeRegistration.taints[]": { description: "A taint." },
  "nodeRegistration.taints[].key": { description: "The taint's key.", examples: ["dedicated"] },
  "nodeRegistration.taints[].value": { description: "The taint's value." },
  "nodeRegistration.taints[].effect": { description: "What happens to Pods that do not tolerate it." },
  evidence: { description: "How the node proves what it is." },
  "evidence.variant": {
    description:
      "The kinds of evidence, in the order of the cluster's policy. Default: tpm. none proves nothing, and needs " +
      "allowInsecure.",
  },
  "evidence.ekType": {
    description: "The endorsement key that is the node's identity, as the policy says. Default: rsa2048.",
  },
  "evidence.allowInsecure": { description: "Must be true with variant none, which proves nothing, and only there." },
  init: { description: "Whether an operator may found a cluster on this node." },
  "init.enabled": {
    description:
      "Whether to wait for `bootstrapper init`. Default: yes, unless trust.clusterId or trust.founding is set.",
  },
  "init.listen": {
    description: "Where to listen for it. Default: port 9443 at all addresses.",
    pattern: ENDPOINT,
    examples: ["0.0.0.0:9443"],
  },
  join: { description: "How the node joins a cluster that exists." },
  "join.endpoints": { description: "Where to look for a join service. All are tried at once." },
  "join.endpoints[]": {
    description: "HOST:PORT of a control plane's join service, dns:NAME:PORT, or srv:_SERVICE._tcp.DOMAIN.",
    pattern: `${ENDPOINT}|^[Dd][Nn][Ss]:|^[Ss][Rr][Vv]:`,
    examples: ["10.77.0.11:9444"],
  },
  metadata: { description: "What the machine's metadata says of it. It is asked once, and never trusted." },
  "metadata.source": { description: "Who is asked." },
  "metadata.use": { description: "What is taken from it.", examples: [["name", "address"]] },
  "metadata.use[]": { description: "A value that is taken." },
  founding: {
    description: "How this machine takes part in a founding among equals. It goes only with trust.founding.",
  },
  "founding.address": {
    description: "Where the other founders' etcd reaches this one. Default: the node's address, port 9445.",
    pattern: ENDPOINT_OR_HOST,
  },
  "founding.listen": {
    description: "Where to listen for the other founders. Default: 0.0.0.0:9443.",
    pattern: ENDPOINT,
  },
  "founding.peers": { description: "The other founders; the list may have this machine too. Either peers or dns." },
  "founding.peers[]": { description: "HOST or HOST:PORT; default port 9443.", pattern: ENDPOINT_OR_HOST },
  "founding.dns": { description: "A name that resolves to all founders.", pattern: ENDPOINT_OR_HOST },
  "founding.cluster": {
    description:
      "The cluster's settings, the same on every founder. Default: the version of this machine's kubelet, and podSubnet " +
      "10.244.0.0/16.",
  },
  "founding.clusterFile": {
    description:
      "Instead of cluster: the text of a cluster file, the same on every founder, with kubeadm's own documents.",
  },
  allowUnmeasuredImage: {
    description:
      "Bootstraps although the image is not measured completely. Only for development: only a policy that allows it by " +
      "name admits such a node.",
  },
};

/** Of a policy. */
export const POLICY_TEXTS: KeyTexts = {
  version: { description: "The version of the document's format." },
  variant: {
    description:
      "The kinds of evidence that a machine must show, all of them; the first gives its identity. Or one list for node " +
      "and one for init.",
  },
  collateral: { description: "Where documents of AMD and Intel are that do not come with the evidence." },
  "collateral.folder": { description: "The absolute path of a folder.", pattern: "^/" },
  "collateral.cache": { description: "The https address of a cache.", pattern: "^[Hh][Tt][Tt][Pp][Ss]:" },
  allowUnmeasuredImage: { description: "Whether machines may have allowUnmeasuredImage on. Only for tests." },
  bannedIdentities: { description: "Identities that are never admitted." },
  removed: { description: "Identities of machines that were removed, which are never admitted." },
  roles: { description: "Which machines may be more than a worker." },
  "roles.controlPlanes": { description: "The identities that may be control planes." },
  names: { description: "Which names machines may have. * stands for any characters, ? for one." },
  "names.default": { description: "Patterns for all identities that byIdentity does not list." },
  "names.byIdentity": { description: "Patterns for single identities." },
  maximumClockSkewSeconds: { description: "How far a machine's clock may be from the verifier's, seconds." },
};
