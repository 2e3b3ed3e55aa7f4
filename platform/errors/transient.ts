/**
 * Errors of the families `conflict`, `unavailable`, `timeout` and `aborted`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const ASKS_AGAIN = "No action is needed: the node tries again by itself.";
const AGAIN = "Run the command again.";
const LOOK_AT_ETCD = "Check the health of etcd's members, and bring back those that are down.";
const LOOK_AT_KUBELET = "Check the kubelet's log: `journalctl -u kubelet`.";
const LOOK_AT_SERVICE = "Check the log of a join service: `journalctl -u bootstrapper-join-signer`.";
const LOOK_AT_MANIFEST = "Check the API server's log, and whether its machine is overloaded.";
const ITS_OWN_END = "No action is needed. Start it again if it was not meant to end.";

/** Another claim to the same thing is valid. */
export const CONFLICT = {
  "conflict/already-exists": {
    meaning: "An object of that name exists in the cluster.",
    remedy: "Check the object that the error names.",
  },
  "conflict/changed": {
    meaning: "Another writer changed the object in the meantime.",
    remedy: AGAIN,
  },
  "conflict/etcd-member": {
    meaning: "A member of etcd has the name or the address of this node.",
    remedy: "Give this machine a name and an address of its own, or remove the node that is gone.",
  },
  "conflict/field-manager": {
    meaning: "A field of an object in a manifest was set by another program, such as kubectl or Helm.",
    remedy: "Change the object with the program that the error names, or leave it out of the manifest.",
  },
  "conflict/identity": {
    meaning: "The machine's identity is admitted with another name or role.",
    remedy: "Give the machine that name and role, or remove that node first.",
  },
  "conflict/node-address": {
    meaning: "The address belongs to another node.",
    remedy: "Give this machine an address of its own, or remove the other node if it is gone.",
  },
  "conflict/node-name": {
    meaning: "The name belongs to another machine.",
    remedy: "Give this machine another name, or remove the other node if it is gone.",
  },
  "conflict/node-without-record": {
    meaning: "The cluster has a Node of that name that the join service did not admit.",
    remedy: "Give this machine another name, or remove that Node.",
  },
  "conflict/pledge": {
    meaning: "The key of this founder has pledged another roster of founders, and pledges only once.",
    remedy:
      "Bring back the founders of the earlier roster, or run `bootstrapper reset` on this machine: its key goes with the pledge.",
  },
  "conflict/removal": {
    meaning: "The name was given to another machine during the removal.",
    remedy: "Check the node again. Run the command again if the node must still be removed.",
  },
  "conflict/renewal": {
    meaning: "Another process renews the certificates of this node.",
    remedy: "Wait for it to end; `bootstrapper status` shows the outcome.",
    retriable: true,
  },
  "conflict/run": {
    meaning: "Another bootstrapper works on this node.",
    remedy: "Wait for it to end; `bootstrapper status` shows what it does.",
    retriable: true,
  },
  "conflict/turn": {
    meaning: "Another control plane does the same work, and one at a time may.",
    remedy: "Wait: this node tries again within minutes.",
    retriable: true,
  },
  "conflict/two-foundings": {
    meaning:
      "Two clusters were founded under the name that the node trusts, by its operators or by founders of its trust part.",
    remedy:
      "Set trust.clusterId in the node's configuration to the cluster that it should join, and leave out trust.founding.",
  },
} as const satisfies ErrorEntries<`conflict/${string}`>;

/** The operation does not work now. */
export const UNAVAILABLE = {
  "unavailable/address": {
    meaning: "The machine has no address yet that other nodes can reach, or several that are as good as each other.",
    remedy: "Wait for the network, or set node.address or node.addressFrom in the node's configuration.",
  },
  "unavailable/admission-changed": {
    meaning: "Other writers change the admission record of the node continuously.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/busy": {
    meaning: "The join service has as many nodes to verify as it can take.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/cluster-record": {
    meaning: "Another command of this operator uses the record of the cluster.",
    remedy: "Wait until that command ends.",
  },
  "unavailable/collateral": {
    meaning: "A document of the manufacturer cannot be fetched from the collateral cache.",
    remedy: "Check the collateral cache, or put the document into a collateral folder.",
    sometimes: "no for a server whose certificate is refused, or that answers that it has no such document",
  },
  "unavailable/connection": {
    meaning: "The connection cannot be made, or broke.",
    remedy: "Check whether the peer runs, and whether the network lets the connection through.",
  },
  "unavailable/control-plane-queue": {
    meaning: "Another control plane is joining or is ahead in the queue.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/control-plane-queue-changed": {
    meaning: "Other writers change the queue of control planes continuously.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/cut-list": {
    meaning: "The API server still accepts the certificates of a node that is being removed.",
    remedy:
      "Check the join service of that control plane, and that the API server runs with `--authorization-config`. Run the command again: it continues.",
  },
  "unavailable/epochs": {
    meaning: "Other writers change the epochs of node certificates continuously.",
    remedy: "Try again.",
  },
  "unavailable/etcd": { meaning: "etcd cannot be reached, or cannot serve now.", remedy: LOOK_AT_ETCD },
  "unavailable/etcd-learner": {
    meaning: "etcd has a learner of another node, and takes one at a time.",
    remedy: "Wait while that node joins. If it is gone for good, remove it with `bootstrapper node remove`.",
  },
  "unavailable/etcd-quorum": {
    meaning:
      "Not all members of etcd are healthy, so none can be added, and the remains of a failed join cannot be removed.",
    remedy: LOOK_AT_ETCD,
  },
  "unavailable/founding-etcd": {
    meaning: "The founders' etcd cannot be started on this machine now, or has ended.",
    remedy:
      "Check the reason in the error: the address and the peer port of this founder, the image of etcd, the disk.",
  },
  "unavailable/founder-evidence": {
    meaning: "The join service cannot make evidence of its machine now, which the node asks for.",
    remedy:
      "Wait: the node asks again. If this stays, look at `journalctl -u bootstrapper-join-prover` on that control plane.",
  },
  "unavailable/host-name": {
    meaning: "The machine's host name cannot be a node's name. The system may set another one later.",
    remedy: "Set node.name in the node's configuration, or give the machine another host name.",
  },
  "unavailable/init-in-progress": {
    meaning: "Another init of the node is in progress.",
    remedy: "Wait for its end.",
  },
  "unavailable/init-server": {
    meaning: "The node does not answer for an init.",
    remedy: "Wait until the node has booted. A node that belongs to a cluster no longer answers.",
  },
  "unavailable/join-service-starting": {
    meaning: "The join service has just started, and waits for the API server of its machine.",
    remedy: "Wait: the node asks again. If this stays, look at the API server and at the log of `bootstrapper-join`.",
  },
  "unavailable/kubernetes-api": {
    meaning: "The API server cannot be reached, or is overloaded.",
    remedy: "Check whether the API server runs and can be reached from this machine.",
  },
  "unavailable/kubernetes-api-tls": {
    meaning: "The API server's certificate is not accepted, or it does not accept this client's TLS.",
    remedy: "Check the certificate of the API server, the address in it, and the clocks of both machines.",
  },
  "unavailable/kubernetes-authorizer": {
    meaning:
      "An authorizer of the API server fails. Nodes that are cut off, or whose epoch has ended, get this answer to every request.",
    remedy: "Run `bootstrapper renew --now` on the node. If it is no node, check the API server's log.",
  },
  "unavailable/kubernetes-rights": {
    meaning: "The API server does not grant a right that its own join service has. It may have started just now.",
    remedy: "Wait some minutes. If this stays, apply `deploy/rbac.yaml`.",
  },
  "unavailable/locking": {
    meaning: "The node is being locked, and makes no evidence at this moment.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/metadata": {
    meaning: "The machine's metadata cannot be reached, or does not have a value that the configuration takes from it.",
    remedy:
      "Wait for the metadata service or for cloud-init, or give the machine the value there. If it has none, name the value in the node's configuration.",
  },
  "unavailable/name-resolution": {
    meaning: "A host's name cannot be resolved on the machine that calls it.",
    remedy:
      "Check the spelling, and the name service of this machine (`getent hosts NAME`); or give the IP address instead of the name.",
  },
  "unavailable/node-addresses": {
    meaning: "A node changed its address several times, while its certificates for the earlier addresses are valid.",
    remedy: "Give the machine an address that it had before, or wait until the time in the message.",
  },
  "unavailable/node-removal": {
    meaning: "An operator is removing the node of that name.",
    remedy: "Wait until `bootstrapper node remove` has ended, or run it again if it was interrupted.",
  },
  "unavailable/nothing-seen": {
    meaning:
      "The awaited event has not happened yet. This code occurs only inside a wait, which ends with an error of its own.",
    remedy: "Check the error of the wait.",
    untested: "it never leaves the waiting function: the tests of that function see the error of the wait",
  },
  "unavailable/peer-gone": { meaning: "The peer closed the connection.", remedy: AGAIN },
  "unavailable/policy": {
    meaning: "The join service cannot determine the current policy, or the policy changed while it verified a node.",
    remedy: LOOK_AT_SERVICE,
  },
  "unavailable/queue-full": { meaning: "Too many control planes wait to join.", remedy: ASKS_AGAIN },
  "unavailable/records": {
    meaning: "The join service cannot use the admission records: the API server does not answer, or lacks their kind.",
    remedy: "Check the API server. After an upgrade, apply nodeadmissions.yaml and rbac.yaml of the release.",
  },
  "unavailable/relay": {
    meaning: "The front cannot reach the signer (on a fresh node: the InitServer), or it has ended.",
    remedy: "Check the log of that process: `journalctl -u bootstrapper-join-signer`, or `journalctl -u bootstrapper`.",
  },
  "unavailable/removal": {
    meaning: "No join service answered the removal of a node in time, or another operator cancelled it.",
    remedy: "Check whether a remaining control plane runs its join service, and run the command again: it continues.",
  },
  "unavailable/stopped": {
    meaning: "The node's bootstrapper was stopped in the middle of an init.",
    remedy: "Start it again: the init continues.",
  },
  "unavailable/tpm": {
    meaning: "The TPM has no free slot, is locked out, or cannot write its memory now.",
    remedy: "Restart the machine if the error persists.",
  },
  "unavailable/tpm-busy": { meaning: "The TPM stayed busy for longer than the retries last.", remedy: AGAIN },
  "unavailable/tpm-pcrs": {
    meaning: "The PCRs changed while the TPM quoted them, several times.",
    remedy: "Find the program that extends PCRs continuously on this machine.",
  },
} as const satisfies ErrorEntries<`unavailable/${string}`>;

/** A deadline that passed. */
export const TIMEOUT = {
  "timeout/command": {
    meaning: "A program did not end in time.",
    remedy: "Check whether the machine is overloaded, and the log of that program.",
  },
  "timeout/connect": {
    meaning: "No connection to the endpoint was made in time.",
    remedy: "Check whether the address is correct, and whether a firewall drops the packets.",
  },
  "timeout/etcd": { meaning: "etcd did not answer, start or end in time.", remedy: LOOK_AT_ETCD },
  "timeout/founding": {
    meaning: "A founder that was decided on did not get on in time.",
    remedy: "Another founder is decided on. Check this machine's log.",
  },
  "timeout/exchange": {
    meaning: "An exchange took longer as a whole than it may.",
    remedy: "Run the command again. Check whether the control plane is overloaded if it happens often.",
  },
  "timeout/init": {
    meaning: "The init made no progress for as long as the operator waits. The node may continue with it.",
    remedy: "Run init again: it continues with the same operation.",
  },
  "timeout/init-step": {
    meaning: "A step of the node's init fails repeatedly.",
    remedy: "Check the node's log: `journalctl -u bootstrapper`.",
  },
  "timeout/kubelet": { meaning: "The kubelet was not healthy in time.", remedy: LOOK_AT_KUBELET },
  "timeout/kubernetes-api": { meaning: "The API server did not answer in time.", remedy: LOOK_AT_MANIFEST },
  "timeout/kubernetes-kinds": {
    meaning: "The API server did not start serving NodeAdmission and NodeEvidence in time.",
    remedy: "Check the API server's log, and the CustomResourceDefinitions of bootstrapper.dev.",
  },
  "timeout/network": {
    meaning: "An object of a network's manifest was not applied, or what it starts was not ready, in time.",
    remedy:
      "Look at the object with `kubectl describe`, then run `bootstrapper network apply` with the same files again.",
  },
  "timeout/node": { meaning: "The Node was not registered or Ready in time.", remedy: LOOK_AT_KUBELET },
  "timeout/peer": {
    meaning: "The peer sent or accepted no data for too long.",
    remedy: "Check the log of the peer, and whether its machine is overloaded.",
  },
  "timeout/renewal": {
    meaning: "No join service gave this node new certificates in time.",
    remedy: "Check that a join service runs and can be reached. The node asks again within minutes.",
  },
  "timeout/static-pod": {
    meaning: "A static Pod of the control plane did not start anew in time.",
    remedy: "Look at its log: `crictl ps -a` and `crictl logs`. The next renewal goes on with it.",
  },
  "timeout/turn": {
    meaning: "The work that one control plane at a time does took too long.",
    remedy: "Wait: this node goes on with it within minutes.",
  },
} as const satisfies ErrorEntries<`timeout/${string}`>;

/** The operation was stopped by its owner. */
export const ABORTED = {
  "aborted/call": { meaning: "A call was cancelled, by this side or by the peer.", remedy: AGAIN },
  "aborted/command": {
    meaning: "A program was stopped because the operation that needed it was stopped.",
    remedy: ITS_OWN_END,
  },
  "aborted/dial": { meaning: "A connection was cancelled before it was established.", remedy: ITS_OWN_END },
  "aborted/etcd": { meaning: "A call to etcd was cancelled.", remedy: ITS_OWN_END },
  "aborted/init": {
    meaning: "The operator's command was stopped. The node may continue with the init.",
    remedy: "Run init again: it continues with the same operation.",
  },
  "aborted/join": { meaning: "The join was stopped.", remedy: "Start the bootstrapper again: it continues." },
  "aborted/lost-race": {
    meaning:
      "The node stopped looking for a cluster because one is founded on it, by an operator or as the founders decided.",
    remedy: "No action is needed: the founding continues.",
  },
  "aborted/prompt": {
    meaning: "The answer to a question was no, or there was no answer.",
    remedy: "Nothing was changed.",
  },
  "aborted/removal": {
    meaning: "The removal of a node was stopped before its end.",
    remedy: "Run the command again: it continues.",
    untested: "it takes a signal to the process that runs the tests",
  },
  "aborted/run": { meaning: "The bootstrapper was stopped.", remedy: "Start it again: it continues." },
  "aborted/signal": {
    meaning: "The command was stopped by SIGTERM or SIGINT.",
    remedy: ITS_OWN_END,
    untested: "it takes a signal to the process that runs the tests",
  },
  "aborted/superseded": {
    meaning: "The same operator has started another init of the node.",
    remedy: "Follow that init.",
  },
  "aborted/ticket-search": {
    meaning: "The search for a ticket was stopped, or one of its attempts was replaced by another.",
    remedy: ITS_OWN_END,
  },
} as const satisfies ErrorEntries<`aborted/${string}`>;
