/**
 * The families of commands.
 *
 * @module
 */

/** The first words that several commands share, and their descriptions. */
export const COMMAND_FAMILIES: Readonly<Record<string, string>> = Object.freeze({
  config: "write and check configurations",
  "control-plane": "look after a control plane",
  "join-service": "issue tickets to joining nodes",
  network: "give a cluster's Pods a network",
  machine: "prepare a machine",
  adopt: "take over a cluster of kubeadm",
  node: "manage the nodes of a cluster",
  token: "make tokens",
  upgrade: "upgrade Kubernetes",
  "node founding": "sign that a cluster is an operator's, and let it show that",
  policy: "work with policies",
  "policy collateral": "get what AMD and Intel sign",
});
