/**
 * Errors of the family `precondition`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const GOES_ON = "Run `bootstrapper reset` again: it continues where it was interrupted.";
const FRESH_MACHINE = "Use a fresh machine.";

/** A state that does not allow the operation. */
export const PRECONDITION = {
  "precondition/adoption": {
    meaning: "The cluster, or this machine in it, cannot be adopted as it is. The failed checks say why.",
    remedy: "Change what the checks name, and run the command again: nothing was changed.",
  },
  "precondition/adoption-unfinished": {
    meaning:
      "Nodes of the adopted cluster have not proven themselves yet, so kubelets still need the cluster's signer.",
    remedy: "Let each of the named nodes prove itself, or remove it with `bootstrapper node remove`.",
  },
  "precondition/ca-key": {
    meaning: "The key of the cluster's CA is missing, or does not belong to its certificate.",
    remedy: "Compare the files below /etc/kubernetes/pki with those of another control plane.",
  },
  "precondition/clock-behind": {
    meaning: "The machine's clock is behind a time that the machine has seen before.",
    remedy: "Set the clock, and run a time service.",
  },
  "precondition/clock-skew": {
    meaning: "The clocks of both machines differ by more than the accepted limit.",
    remedy: "Set the clocks of both machines; run a time service.",
    retriable: true,
  },
  "precondition/cluster-ca": {
    meaning: "kubeadm cannot start because the cluster's CA is not in its folder.",
    remedy: "Check whether another program removed files below /etc/kubernetes/pki.",
  },
  "precondition/cluster-exists": {
    meaning: "The operator's records have a cluster of that name already, on another machine or abandoned.",
    remedy: "Use its kubeconfig, continue its init, abandon it with `bootstrapper abandon`, or choose another name.",
  },
  "precondition/cluster-keys": {
    meaning: "A node cannot become a control plane because it does not have all of the cluster's keys.",
    remedy: "Check whether another program removed files below /etc/kubernetes/pki; join again from a fresh machine.",
  },
  "precondition/documents": {
    meaning: "`bootstrapper config check` found problems in documents, or in the machine that they are for.",
    remedy: "Correct what stands at the named lines, and check again.",
  },
  "precondition/machine": {
    meaning: "`bootstrapper machine setup` found that the machine lacks what a node needs.",
    remedy: "Run `bootstrapper machine setup --apply` as root, or the printed commands.",
  },
  "precondition/etcd": {
    meaning: "etcd refuses the request in its present state, for example because too few members have started.",
    remedy: "Check the health of etcd's members, and repeat the request when all of them run.",
  },
  "precondition/etcd-quorum": {
    meaning: "A member of etcd cannot be removed because etcd has no quorum or would lose it.",
    remedy: "Bring back the members that are down, or add another control plane first.",
  },
  "precondition/file-exists": {
    meaning: "A file of that name exists. It is not overwritten.",
    remedy: "Choose another name.",
  },
  "precondition/host-data": {
    meaning: "The host launched this SNP VM without HOST_DATA.",
    remedy: "Launch it with HOST_DATA as `bootstrapper policy registers` prints it.",
  },
  "precondition/insecure-switch": {
    meaning:
      "The configuration of the node to initialise has a switch that weakens a check, and the policy does not allow it.",
    remedy: "Remove the switch from the node's configuration; for tests, allow it in the policy.",
  },
  "precondition/join-endpoints": {
    meaning: "The node is locked for a join and knows no join service.",
    remedy: "Name the cluster's join services in join.endpoints of the node's configuration.",
  },
  "precondition/joining": {
    meaning: "The node is joining a cluster, so no init can use it.",
    remedy: FRESH_MACHINE,
  },
  "precondition/journal": {
    meaning: "The node's journal is missing, or is of another cluster, node or configuration.",
    remedy: "Give the node its original configuration, run `bootstrapper reset`, or rebuild it from its image.",
  },
  "precondition/kubelet-credentials": {
    meaning: "kubeadm cannot start because the kubelet's credentials are not in their folders.",
    remedy: "Check whether another program removed /etc/kubernetes/kubelet.conf or files below /var/lib/kubelet/pki.",
  },
  "precondition/lock-missing": {
    meaning: "The node has no lock, but its registers show that it was locked since it booted.",
    remedy: "Rebuild the node from its image, and find the program or person that removed the lock.",
  },
  "precondition/locking": {
    meaning: "The node is being locked at this moment.",
    remedy: "Run the command again.",
    retriable: true,
    untested: "it takes a call in the moment between the lock and its measurement",
  },
  "precondition/membership": {
    meaning:
      "The node became a member, and something has changed since: the disk is in another machine, or the kubelet's files are gone or another node's.",
    remedy:
      "Compare the expected and the seen value. To join anew, run `bootstrapper reset`, and start the bootstrapper.",
  },
  "precondition/mounted": {
    meaning: "The kubelet's folder cannot be emptied because volumes are mounted there.",
    remedy: `Unmount them, or restart the machine. ${GOES_ON}`,
  },
  "precondition/mrconfigid": {
    meaning: "The host launched this TD without MRCONFIGID.",
    remedy: "Launch it with MRCONFIGID as `bootstrapper policy registers` prints it.",
  },
  "precondition/no-cluster": {
    meaning: "The operator's records have no cluster of that name.",
    remedy: "Check the name, and the folder of the records.",
  },
  "precondition/no-device": {
    meaning: "The kernel has no interface for reports of a confidential VM.",
    remedy:
      "Run the machine as a confidential VM with a kernel that has configfs-tsm (6.7 or later), and mount configfs.",
  },
  "precondition/no-evidence": {
    meaning: "The configuration has evidence.variant none, so the node has no evidence to show.",
    remedy: "Configure a kind of evidence, or name an endorsement key of the TPM with `--ek-type`.",
  },
  "precondition/no-join-service": {
    meaning: "The machine has no join service.",
    remedy: "Call the command on a control plane.",
  },
  "precondition/no-such-node": {
    meaning: "The cluster has no node, record or removal of that name.",
    remedy: "Check the names with `kubectl get nodes`. If the node was removed before, nothing is left to do.",
  },
  "precondition/no-tpm": { meaning: "The machine has no TPM.", remedy: "Give the machine a TPM 2.0." },
  "precondition/node-ready": {
    meaning: "The Node to remove is Ready, so its machine works.",
    remedy: "Power the machine off or reset it, and wait a minute; `--force` removes the node anyway.",
  },
  "precondition/not-a-control-plane": {
    meaning: "The machine has no certificates of a control plane.",
    remedy: "Run the command on a control plane.",
  },
  "precondition/not-a-member": {
    meaning: "This node is no member of a cluster, so that it has no certificates to renew.",
    remedy: "Let `bootstrapper run` make it a member first; `bootstrapper status` shows what it waits for.",
  },
  "precondition/not-found": {
    meaning: "Kubernetes or etcd does not have the requested object.",
    remedy: "Check whether it was deleted, and whether the cluster is the right one.",
  },
  "precondition/operation-changed": {
    meaning: "The node continues an init with other documents than the ones given now.",
    remedy: "Run init with the original documents. Change the cluster afterwards.",
  },
  "precondition/operation-lost": {
    meaning: "The node was locked for this init, but now offers to found another cluster.",
    remedy: "If the node was reset, run init again to found a new cluster of that name.",
  },
  "precondition/other-operation": {
    meaning: "The node has started an init that differs from the one in this operator's records.",
    remedy: "Run the first init again, with the records and settings that it had; or use a fresh machine.",
  },
  "precondition/other-operator": {
    meaning: "The node was initialised by another operator.",
    remedy: "Ask that operator, or use a fresh machine.",
  },
  "precondition/policy-config-map": {
    meaning: "The ConfigMap of the policy was deleted. Its last version stays in force.",
    remedy: "Create the ConfigMap again.",
  },
  "precondition/preflight": {
    meaning: "The machine does not meet the requirements of an init or a join. Nothing was changed.",
    remedy: "Correct the findings that the error lists in the machine or its image, and start again.",
  },
  "precondition/register": {
    meaning: "A register that the bootstrapper measures into holds another value.",
    remedy: "Reboot the node. If that does not help, find the other program in the image that extends the register.",
  },
  "precondition/reset-under-way": { meaning: "A reset of the node has started and has not ended.", remedy: GOES_ON },
  "precondition/root": {
    meaning: "The command works on the machine itself, and root did not start it.",
    remedy: "Run the command as root, for example with sudo. The systemd units do so.",
  },
  "precondition/service-key": {
    meaning: "The key of the join service does not match its certificate.",
    remedy:
      "Restore both from a backup, or reset that control plane and let it join again: a member does not write them anew.",
  },
  "precondition/staged-init": {
    meaning: "The staged CA of the node is not that of the cluster in its lock.",
    remedy: "Replace this machine by a fresh one.",
  },
  "precondition/tpm-handle": {
    meaning: "The TPM does not have the requested object.",
    remedy: "Check whether the TPM is the one that the machine had before.",
  },
  "precondition/tsm": {
    meaning: "The kernel provides no reports of a confidential VM.",
    remedy: "Boot the machine as an SEV-SNP or TDX guest, with configfs mounted and the guest driver loaded.",
  },
  "precondition/tsm-privilege-level": {
    meaning: "The machine provides no reports for the privilege level of the kernel.",
    remedy: "Run the VM without a paravisor, or configure another kind of evidence.",
  },
  "precondition/tsm-provider": {
    meaning: "The machine's reports are from another technology than the configured one.",
    remedy: "Set evidence.variant in the node's configuration to the machine's technology.",
  },
  "precondition/superseded": {
    meaning: "This founder made a cluster, and the founders decided on another one. Nobody has joined the first.",
    remedy: "Run `bootstrapper reset` on this machine: it then joins the cluster that counts.",
  },
  "precondition/unmeasured-image": {
    meaning: "The machine's image is not measured completely.",
    remedy:
      "Start the machine from a measured image (unified kernel image, dm-verity, TPM or confidential VM). Or set " +
      "allowUnmeasuredImage: true in the node's configuration and in the policy: then nothing proves what it runs.",
  },
  "precondition/version-skew": {
    meaning: "The node's kubelet is newer than the API server, or too much older.",
    remedy: "Build the node from an image with a compatible kubelet, or upgrade the cluster first.",
  },
  "precondition/users": {
    meaning: "The machine lacks the users that listen and sign for the bootstrapper.",
    remedy: "Put `deploy/sysusers.conf` into the image as `/usr/lib/sysusers.d/bootstrapper.conf`.",
  },
} as const satisfies ErrorEntries<`precondition/${string}`>;
