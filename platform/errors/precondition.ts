/**
 * Errors of the family `precondition`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const GOES_ON = "Run `bootstrapper reset` again: it goes on where it was interrupted.";
const FRESH_MACHINE = "Use a fresh machine.";

/** A state does not allow this. */
export const PRECONDITION = {
  "precondition/ca-key": {
    meaning: "The key of the cluster's CA does not belong to its certificate.",
    remedy: "Compare the files below /etc/kubernetes/pki with those of another control plane.",
  },
  "precondition/clock-skew": {
    meaning: "The clocks of both machines differ by more than is accepted.",
    remedy: "Set the clocks of both machines; run a time service.",
    retriable: true,
  },
  "precondition/cluster-ca": {
    meaning: "kubeadm cannot begin, as the cluster's CA is not where it looks for it.",
    remedy: "Look whether another program removed files below /etc/kubernetes/pki.",
  },
  "precondition/cluster-exists": {
    meaning: "The operator's records have a cluster of that name already, on another machine or abandoned.",
    remedy: "Use its kubeconfig, go on with its init, give it up with `bootstrapper abandon`, or choose another name.",
  },
  "precondition/cluster-keys": {
    meaning: "A node cannot become a control plane, as it does not have all of the cluster's keys.",
    remedy: "Look whether another program removed files below /etc/kubernetes/pki; join again from a fresh machine.",
  },
  "precondition/etcd": {
    meaning: "etcd refuses the request in its present state, as where it has too few started members.",
    remedy: "Look at the health of etcd's members, and repeat the request when all of them run.",
  },
  "precondition/etcd-quorum": {
    meaning: "A member of etcd cannot be removed, as etcd has no quorum or would lose it.",
    remedy: "Bring back the members that are down, or add another control plane first.",
  },
  "precondition/file-exists": {
    meaning: "A file of that name exists, and is not overwritten.",
    remedy: "Choose another name.",
  },
  "precondition/host-data": {
    meaning: "The host launched this SNP VM without HOST_DATA.",
    remedy: "Launch it with HOST_DATA as `bootstrapper policy registers` prints it.",
  },
  "precondition/join-endpoints": {
    meaning: "The node is locked for a join and knows no join service.",
    remedy: "Name the cluster's join services in join.endpoints of the node's configuration.",
    untested: "it takes a whole node that is locked, and then loses the endpoints of its configuration",
  },
  "precondition/joining": {
    meaning: "The node is joining a cluster, so no init can use it.",
    remedy: FRESH_MACHINE,
  },
  "precondition/journal": {
    meaning: "The node's journal is missing, or is of another cluster, node or configuration.",
    remedy: "Give the node the configuration that it began with; or run `bootstrapper reset`, or build it anew.",
  },
  "precondition/lock-missing": {
    meaning: "The node has no lock, but its registers show that it locked since it booted.",
    remedy: "Build the node anew from its image, and find out what removed the lock.",
  },
  "precondition/locking": {
    meaning: "The node is being locked at this moment.",
    remedy: "Run the command again.",
    retriable: true,
    untested: "it takes a call in the moment between the lock and its measurement",
  },
  "precondition/mounted": {
    meaning: "The kubelet's folder cannot be emptied, as volumes are mounted there.",
    remedy: `Unmount them, or restart the machine. ${GOES_ON}`,
  },
  "precondition/mrconfigid": {
    meaning: "The host launched this TD without MRCONFIGID.",
    remedy: "Launch it with MRCONFIGID as `bootstrapper policy registers` prints it.",
  },
  "precondition/no-cluster": {
    meaning: "The operator's records have no cluster of that name.",
    remedy: "Look at the name, and at the folder of the records.",
  },
  "precondition/no-device": {
    meaning: "The kernel has no interface for reports of a confidential VM.",
    remedy: "Run it as a confidential VM with a kernel that has configfs-tsm (6.7 or later), mounted.",
  },
  "precondition/no-evidence": {
    meaning: "The configuration says evidence.variant none, so there is nothing to show.",
    remedy: "Configure a kind of evidence, or name an endorsement key of the TPM with `--ek-type`.",
  },
  "precondition/no-such-node": {
    meaning: "The cluster has no node, record or removal of that name.",
    remedy: "Look at the names with `kubectl get nodes`. If the node was removed before, nothing is left to do.",
  },
  "precondition/no-tpm": { meaning: "The machine has no TPM.", remedy: "Give the machine a TPM 2.0." },
  "precondition/node-ready": {
    meaning: "A Node that is to be removed is Ready, so its machine works.",
    remedy: "Power the machine off or reset it, and wait a minute; `--force` removes the node all the same.",
  },
  "precondition/not-found": {
    meaning: "Kubernetes or etcd does not have the object that was asked for.",
    remedy: "Look whether it was deleted, and whether the cluster is the right one.",
  },
  "precondition/operation-changed": {
    meaning: "The node goes on with an init of other documents than were given now.",
    remedy: "Run init with the documents of before. Change the cluster afterwards.",
  },
  "precondition/operation-lost": {
    meaning: "The node was locked for this init, and offers to found another cluster now.",
    remedy: "If the node was reset, run init again to found a new cluster of that name.",
  },
  "precondition/other-operation": {
    meaning: "The node has begun an init that is not the one of this operator's records.",
    remedy: "Run the first init again, with the records and settings that it had; or use a fresh machine.",
  },
  "precondition/other-operator": {
    meaning: "The node was initialised by another operator.",
    remedy: "Ask that operator, or use a fresh machine.",
  },
  "precondition/policy-config-map": {
    meaning: "The ConfigMap of the policy was deleted. Its last version stays in force.",
    remedy: "Make the ConfigMap again.",
  },
  "precondition/preflight": {
    meaning: "The machine lacks something that an init or a join needs. Nothing was changed.",
    remedy: "Correct the machine or its image by what the error lists, and begin again.",
  },
  "precondition/register": {
    meaning: "A register that the bootstrapper measures into holds another value.",
    remedy: "Reboot the node. If that does not help, find out what else in the image extends the register.",
  },
  "precondition/reset-under-way": { meaning: "A reset of the node has begun and has not ended.", remedy: GOES_ON },
  "precondition/service-key": {
    meaning: "The key of the join service is not that of its certificate.",
    remedy: "Start bootstrapper.service on that control plane again: it writes both anew.",
  },
  "precondition/staged-init": {
    meaning: "The CA that the node staged is not that of the cluster which its lock names.",
    remedy: "Replace this machine by a fresh one.",
  },
  "precondition/tpm-handle": {
    meaning: "The TPM does not have the object that was asked for.",
    remedy: "Look whether the TPM is the one that the machine had before.",
  },
  "precondition/tsm": {
    meaning: "The kernel gives no reports of a confidential VM.",
    remedy: "Boot the machine as an SEV-SNP or TDX guest, with configfs mounted and the guest driver loaded.",
  },
  "precondition/tsm-privilege-level": {
    meaning: "The machine gives no reports for the privilege level of the kernel.",
    remedy: "Run the VM without a paravisor, or configure another kind of evidence.",
  },
  "precondition/tsm-provider": {
    meaning: "The machine's reports are by another technology than the configuration says.",
    remedy: "Set evidence.variant in the node's configuration to what the machine is.",
  },
  "precondition/unmeasured-image": {
    meaning: "The machine's image is not measured completely.",
    remedy: "Build the image as the documentation says.",
    untested: "a whole node runs only in tests whose images are allowed not to be measured; the findings have tests",
  },
  "precondition/version-skew": {
    meaning: "The node's kubelet is newer than the API server, or too much older.",
    remedy: "Build the node from an image with a kubelet that fits, or upgrade the cluster first.",
  },
} as const satisfies ErrorEntries<`precondition/${string}`>;
