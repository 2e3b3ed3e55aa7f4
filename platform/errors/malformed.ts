/**
 * Errors of the family `malformed`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const OTHER_VERSION =
  "Check that both sides run compatible versions of the bootstrapper. If they do, check the path between them.";
const FRESH_MACHINE = "Run `bootstrapper reset` on the node, or rebuild it from its image.";
const GET_AGAIN = "Get the document again from its source: it is damaged, or its form is not supported.";
const OTHER_MACHINE =
  "Check the platform that made the evidence: its firmware or its host does not follow the specification.";

/** Bytes that do not have their form. */
export const MALFORMED = {
  "malformed/adoption": {
    meaning: "The ConfigMap of the cluster's adoption has another form than the program writes.",
    remedy: "Run `bootstrapper adopt cluster` again; if that does not help, delete the ConfigMap " +
      "bootstrapper-system/adoption first.",
  },
  "malformed/admission-record": {
    meaning: "An admission record, or the data for one, has a field of the wrong form.",
    remedy: "Check the object that the error names. If it was edited by hand, remove the node and let it join again.",
  },
  "malformed/backup": {
    meaning: "A file is not a backup, or has another form than one.",
    remedy: "Give a file that `bootstrapper backup` wrote, whole and unchanged.",
  },
  "malformed/base64": {
    meaning: "A text is not base64 with padding on one line, or is too long.",
    remedy: GET_AGAIN,
  },
  "malformed/cluster-id": {
    meaning: "A cluster ID is not `sha256:` and 64 lower-case hexadecimal digits.",
    remedy: "Copy it again from the configuration, or from the output of `bootstrapper init`.",
  },
  "malformed/cluster-record": {
    meaning: "The operator's record of a cluster cannot be read.",
    remedy: "Restore the file from a backup. Without it, an init could found a second cluster of that name.",
  },
  "malformed/control-plane-queue": {
    meaning: "The Lease that holds the queue of control planes was changed by another program.",
    remedy: "Delete the Lease that the error names. Waiting nodes try again.",
  },
  "malformed/crictl": {
    meaning: "The list of images that crictl prints cannot be read.",
    remedy: "Check the version of crictl in the machine's image.",
  },
  "malformed/cut-entry": {
    meaning: "An entry of the list of nodes that API servers refuse has a field of the wrong form.",
    remedy: "Correct or delete the ConfigMap that the error names. The other entries are in force.",
  },
  "malformed/cut-list": {
    meaning: "The list of nodes that API servers refuse has an entry that they could not load.",
    remedy: "Correct or delete the object that the error names. Until then, API servers keep the list that they have.",
  },
  "malformed/der": {
    meaning: "A certificate, a request or a list of revoked certificates is not in the subset of DER that is read.",
    remedy: GET_AGAIN,
  },
  "malformed/device-request": {
    meaning: "The process with access to this machine's devices received an unknown request.",
    remedy: "This is a defect, or another program writes to its pipe. Please report it.",
  },
  "malformed/document-form": {
    meaning: "A certificate or revocation list is a text of another form than PEM, base64 or hexadecimal.",
    remedy: "Get the document again from the vendor's service, or convert it to DER.",
  },
  "malformed/epochs": {
    meaning: "The ConfigMap with the epochs of node certificates has a field of the wrong form.",
    remedy: "Correct the ConfigMap that the error names. It was changed by another program, or by hand.",
  },
  "malformed/etcd-manifest": {
    meaning: "The manifest of this node's etcd cannot be read.",
    remedy: "Restore the manifest. With `--force` a reset continues without leaving etcd.",
  },
  "malformed/event-log": {
    meaning: "The event log of the firmware does not have the form of the TCG's specification.",
    remedy: "Collect the evidence again. A policy can also list values of the registers without a log.",
  },
  "malformed/evidence": {
    meaning: "Evidence of variant none is not 32 bytes.",
    remedy: OTHER_VERSION,
  },
  "malformed/evidence-file": {
    meaning: "A file is not an evidence file of this version.",
    remedy: "Make it on the machine with `bootstrapper evidence --out FILE` of this version.",
  },
  "malformed/evidence-set": {
    meaning: "Evidence of several kinds does not have its exact encoding.",
    remedy: OTHER_VERSION,
  },
  "malformed/evidence-version": {
    meaning: "Evidence is of a version that is not supported.",
    remedy: "Run the same version of the bootstrapper on both sides.",
  },
  "malformed/founding-decision": {
    meaning: "What the founders' etcd has of their decision does not have its form.",
    remedy: OTHER_VERSION,
  },
  "malformed/founder-file": {
    meaning: "The pledge or the roster of this founder, or what it would be made of, does not have its form.",
    remedy:
      "Run `bootstrapper reset` on this machine: it takes part as a new founder, or joins if the others have founded.",
  },
  "malformed/founding-file": {
    meaning: "A file is not a founding file.",
    remedy: "Make it with `bootstrapper node founding sign`.",
  },
  "malformed/hex": { meaning: "A text is not hexadecimal.", remedy: "Copy the value again." },
  "malformed/init-request": {
    meaning: "The operator's request for an init lacks a field, or has one of the wrong form.",
    remedy: OTHER_VERSION,
  },
  "malformed/init-result": {
    meaning: "The result of an init has a field of the wrong form.",
    remedy: OTHER_VERSION,
  },
  "malformed/join-message": {
    meaning: "A message of a join lacks a field, or has one of the wrong length.",
    remedy: OTHER_VERSION,
  },
  "malformed/join-request": {
    meaning: "A node's request for a join has a field of the wrong form.",
    remedy: OTHER_VERSION,
  },
  "malformed/journal": {
    meaning: "The node's journal cannot be read, so the node does not know which steps are done.",
    remedy: FRESH_MACHINE,
  },
  "malformed/json-value": {
    meaning: "A document has a number or a text that JSON does not have.",
    remedy: "Correct the document: `.inf` and `.nan` are no numbers there, and `\\uD800` is half a character.",
  },
  "malformed/kept-policy": {
    meaning: "The policy that a join service kept when it last ran is torn, or of a newer version of this program.",
    remedy: "Nothing is lost while the ConfigMap of the policy is there. Otherwise create it again.",
  },
  "malformed/kubeconfig": {
    meaning: "A kubeconfig lacks a field that is needed, or has one of the wrong form.",
    remedy: "Use the kubeconfig that `bootstrapper init` wrote, or another with embedded certificates.",
  },
  "malformed/kubelet-configuration": {
    meaning: "The kubelet's configuration on this machine is not a KubeletConfiguration.",
    remedy: "Restore /var/lib/kubelet/config.yaml: `kubeadm upgrade node phase kubelet-config` writes it.",
  },
  "malformed/kubelet-version": {
    meaning: "The kubelet prints a version that cannot be read.",
    remedy: "Run `kubelet --version` on the machine, and correct its image.",
  },
  "malformed/kubeadm-config": {
    meaning: "The ConfigMap in which kubeadm keeps the configuration of a running cluster has no configuration in it.",
    remedy: "Restore it: `kubeadm init phase upload-config kubeadm` on a control plane writes it.",
  },
  "malformed/kubernetes-api": {
    meaning:
      "The API server's answer does not have the expected form, or the API server reports that the request is malformed.",
    remedy: "Check whether the version of the cluster is supported, and whether the address is that of an API server.",
  },
  "malformed/kubernetes-version": {
    meaning: "A text is not a version of Kubernetes.",
    remedy: "Check the version that the cluster or the kubelet reports.",
  },
  "malformed/lock-record": {
    meaning: "The node lock cannot be read, so the node does not know which cluster it belongs to.",
    remedy: "Rebuild the node from its image.",
  },
  "malformed/manifest": {
    meaning: "The manifest of a static Pod cannot be read.",
    remedy: "Write it again: `kubeadm init phase control-plane all`, or `kubeadm init phase etcd local`.",
  },
  "malformed/measurement-record": {
    meaning: "The record of the measurements at boot cannot be read.",
    remedy: "Restart bootstrapper-measure.service.",
  },
  "malformed/membership": {
    meaning: "The record that this node is a member cannot be read.",
    remedy: "Remove the file that the error names, and start the bootstrapper: it finishes the join or the init again.",
  },
  "malformed/message": { meaning: "A message of an exchange is not in the form of its kind.", remedy: OTHER_VERSION },
  "malformed/node-certificate": {
    meaning: "A file with a certificate of the kubelet does not begin with a certificate.",
    remedy: "Run `bootstrapper renew` on the node: it replaces the file.",
  },
  "malformed/node-key": {
    meaning: "The node's key is not a P-256 key.",
    remedy: FRESH_MACHINE,
  },
  "malformed/node-removal": {
    meaning: "A request to remove a node has a field of the wrong form.",
    remedy: "Delete the ConfigMap that the error names, and run the removal again.",
  },
  "malformed/operator-key": {
    meaning: "An operator's public key is neither PEM nor a line of OpenSSH with an Ed25519 key.",
    remedy: "Use the public key that `bootstrapper keygen` wrote.",
  },
  "malformed/pe": {
    meaning: "A file is not a PE32+ image, or has overlapping parts.",
    remedy: "Give the unified kernel image itself, as the firmware starts it.",
  },
  "malformed/pem": { meaning: "A text is not PEM of the expected label, once.", remedy: GET_AGAIN },
  "malformed/private-key": {
    meaning: "A private key cannot be used, or does not match its public key.",
    remedy: "Restore the key from a backup, or create another.",
  },
  "malformed/proposal": {
    meaning: "The node's proposal of a cluster has a field of the wrong length.",
    remedy: OTHER_VERSION,
  },
  "malformed/public-key": {
    meaning: "A public key is not a valid point or number for its type.",
    remedy: "Find the program that created the key: no honest program creates such a key.",
  },
  "malformed/relay-frame": {
    meaning:
      "The front and the signer (on a fresh node: the InitServer) run different versions, or one of them is not what it claims to be.",
    remedy: "Start both again: they must be of one version. If it happens again, the front is in the hands of an " +
      "attacker; build the machine anew.",
  },
  "malformed/renewal-record": {
    meaning: "The record of the node's certificates cannot be read.",
    remedy: "Remove the file that the error names. The next renewal writes it again.",
  },
  "malformed/setup-record": {
    meaning: "The record of what `bootstrapper machine setup` has changed cannot be read.",
    remedy: "Restore the file that the error names, or remove it: nothing can be taken back then.",
  },
  "malformed/metadata": {
    meaning:
      "The machine's metadata, or what the node kept of it, does not have its form, or has a value that no node can have.",
    remedy: "Correct the value that the error names at its source, or name it in the node's configuration instead.",
  },
  "malformed/reset-marker": {
    meaning: "The marker of a started reset cannot be read.",
    remedy: "Remove the file that the error names, and run `bootstrapper reset` again.",
  },
  "malformed/sealed-kit": {
    meaning: "A control plane's kit has a field of the wrong form.",
    remedy: OTHER_VERSION,
  },
  "malformed/sealing-key": {
    meaning: "A key that a control plane's kit is sealed to is not an X25519 key.",
    remedy: FRESH_MACHINE,
  },
  "malformed/self": {
    meaning: "The file in which a locked node keeps its own name and address cannot be read.",
    remedy: "Set `node.name` and `node.address` in the node's configuration, and remove the file that the error names.",
  },
  "malformed/service-state": {
    meaning: "The state of the join service cannot be read.",
    remedy:
      "Restore the file from a backup, or reset that control plane and let it join again: a member does not write it anew.",
  },
  "malformed/host-credential": {
    meaning: "The machine's host gives a credential twice by SMBIOS, in another form than it states, or too large.",
    remedy: "Correct the SMBIOS strings of type 11 with which the host starts the machine, or give --config.",
  },
  "malformed/size": {
    meaning: "A file or a document is larger than the limit.",
    remedy: "Check the path that the error names: it is not the file that was meant.",
  },
  "malformed/smbios": {
    meaning: "The machine's SMBIOS table is not in the form of DMTF DSP0134, so no credential can be read from it.",
    remedy: "Use a host or a firmware that writes a valid table, or give --config.",
  },
  "malformed/snp": { meaning: "SNP evidence does not have its encoding.", remedy: OTHER_VERSION },
  "malformed/snp-certificate-table": {
    meaning: "The certificates that the host provides with an SNP report are not in the specified table.",
    remedy: "Correct the certificates that the host is configured with.",
  },
  "malformed/snp-report": {
    meaning: "An SNP report has an unknown version, a wrong length, or data where nothing is signed.",
    remedy: OTHER_MACHINE,
  },
  "malformed/snp-tcb": {
    meaning: "A TCB version of an SNP report or certificate does not have eight parts.",
    remedy: OTHER_MACHINE,
  },
  "malformed/staged-init": {
    meaning: "The files that a node staged for its init cannot be read.",
    remedy: "Replace this machine by a fresh one.",
  },
  "malformed/status": {
    meaning: "The node's status file cannot be read.",
    remedy: "Restart bootstrapper.service.",
  },
  "malformed/tdx-collateral": {
    meaning: "An Intel document on TDX platforms does not have its form.",
    remedy: "Fetch it again from Intel's Provisioning Certification Service.",
  },
  "malformed/tdx-evidence": { meaning: "TDX evidence does not have its encoding.", remedy: OTHER_VERSION },
  "malformed/tdx-quote": {
    meaning: "A TDX quote has an unknown version or type, or a field of the wrong length.",
    remedy: OTHER_MACHINE,
  },
  "malformed/ticket": { meaning: "A ticket has a field of the wrong form.", remedy: OTHER_VERSION },
  "malformed/timeline": {
    meaning: "The timeline of the node's bootstrap cannot be read.",
    remedy: "Remove the file that the error names: it serves no other purpose.",
  },
  "malformed/tpm": {
    meaning: "A structure of a TPM does not have the form of the TCG's specification.",
    remedy: OTHER_MACHINE,
  },
  "malformed/tpm-response": {
    meaning: "The TPM's answer does not have the size in its header.",
    remedy: "Restart the machine. If it happens again, its TPM is defective.",
  },
  "malformed/uki": {
    meaning: "A PE image is not a unified kernel image: it lacks a section, or has one twice.",
    remedy: "Build the image with ukify or systemd-stub.",
  },
  "malformed/utf8": {
    meaning: "A text is not UTF-8.",
    remedy:
      "The error names what was read. If that is a file, it is binary, damaged, or in another encoding: give the one that " +
      "was meant, in UTF-8. If it is a field of a message or of a certificate, the program that made it has a defect.",
  },
} as const satisfies ErrorEntries<`malformed/${string}`>;
