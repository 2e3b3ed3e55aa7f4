/**
 * Errors of the families `conflict`, `unavailable`, `timeout` and `aborted`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const ASKS_AGAIN = "Nothing: the node asks again by itself.";
const AGAIN = "Run the command again.";
const LOOK_AT_ETCD = "Look at the health of etcd's members, and bring back those that are down.";
const LOOK_AT_KUBELET = "Look at the kubelet's log: `journalctl -u kubelet`.";
const LOOK_AT_SERVICE = "Look at the log of a join service: `journalctl -u bootstrapper-join-service`.";
const LOOK_AT_MANIFEST = "Look at the API server's log, and whether its machine is overloaded.";
const ITS_OWN_END = "Nothing. Start it again if it was not meant to end.";

/** Another has it by a valid claim. */
export const CONFLICT = {
  "conflict/already-exists": {
    meaning: "An object of that name exists in the cluster.",
    remedy: "Look at the object that the error names.",
  },
  "conflict/changed": {
    meaning: "Another writer changed the object in between.",
    remedy: AGAIN,
  },
  "conflict/etcd-member": {
    meaning: "A member of etcd has the name or the address of this node.",
    remedy: "Give this machine a name and an address of its own, or remove the node that is gone.",
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
    meaning: "The cluster has a Node of that name which was not admitted by the join service.",
    remedy: "Give this machine another name, or remove that Node.",
  },
  "conflict/removal": {
    meaning: "The name was given to another machine while its removal was under way.",
    remedy: "Look at the node anew, and run the command again if it is still to go.",
  },
  "conflict/run": {
    meaning: "Another bootstrapper works on this node.",
    remedy: "Wait for it to end; `bootstrapper status` shows what it does.",
    retriable: true,
  },
  "conflict/two-foundings": {
    meaning: "Operators of the node founded two clusters under the name that it trusts.",
    remedy: "Set trust.clusterId in the node's configuration to the cluster that it shall join.",
  },
} as const satisfies ErrorEntries<`conflict/${string}`>;

/** Not now. */
export const UNAVAILABLE = {
  "unavailable/address": {
    meaning: "The machine has no address yet that other nodes can reach.",
    remedy: "Wait for the network, or set node.address in the node's configuration.",
  },
  "unavailable/admission-changed": {
    meaning: "The admission record of the node is being changed by others all the time.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/busy": {
    meaning: "The join service has as many nodes to verify as it can take.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/cluster-keys": {
    meaning: "This join service does not have the keys that a control plane needs.",
    remedy: "Ask another control plane. " + LOOK_AT_SERVICE,
  },
  "unavailable/cluster-record": {
    meaning: "Another command of this operator uses the record of the cluster.",
    remedy: "Wait until that command ends.",
  },
  "unavailable/collateral": {
    meaning: "A document of the manufacturer cannot be fetched from the collateral cache.",
    remedy: "Look at the collateral cache, or put the document into a collateral folder.",
  },
  "unavailable/connection": {
    meaning: "The connection cannot be made, or broke.",
    remedy: "Look whether the peer runs, and whether the network lets the connection through.",
  },
  "unavailable/control-plane-queue": {
    meaning: "Another control plane is joining, or comes first.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/control-plane-queue-changed": {
    meaning: "The queue of control planes is being changed by others all the time.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/etcd": { meaning: "etcd cannot be reached, or cannot serve now.", remedy: LOOK_AT_ETCD },
  "unavailable/etcd-learner": {
    meaning: "etcd has a learner of another node, and takes one at a time.",
    remedy: "Wait while that node joins. If it is gone for good, remove it with `bootstrapper node remove`.",
  },
  "unavailable/etcd-quorum": {
    meaning: "Not all members of etcd are healthy, so none can be added, or the rest of a dead join cannot be removed.",
    remedy: LOOK_AT_ETCD,
  },
  "unavailable/init-in-progress": {
    meaning: "Another init of the node is in progress.",
    remedy: "Wait for its end.",
  },
  "unavailable/init-server": {
    meaning: "The node does not answer for an init.",
    remedy: "Wait until the node has booted. A node that belongs to a cluster does not answer any more.",
  },
  "unavailable/kubernetes-api": {
    meaning: "The API server cannot be reached, or is overloaded.",
    remedy: "Look whether the API server runs and can be reached from this machine.",
  },
  "unavailable/kubernetes-api-tls": {
    meaning: "The API server's certificate is not accepted, or it does not accept this client's TLS.",
    remedy: "Look at the certificate of the API server, at the address in it, and at the clocks of both machines.",
  },
  "unavailable/locking": {
    meaning: "The node is being locked, and makes no evidence at this moment.",
    remedy: ASKS_AGAIN,
  },
  "unavailable/node-removal": {
    meaning: "An operator is removing the node of that name.",
    remedy: "Wait until `bootstrapper node remove` has ended, or run it again where it was interrupted.",
  },
  "unavailable/nothing-seen": {
    meaning:
      "What is waited for has not happened yet. It is seen only inside a wait, which ends with an error of its own.",
    remedy: "Look at the error of the wait.",
    untested: "it never leaves the function that waits: the tests of that function see the error of the wait",
  },
  "unavailable/peer-gone": { meaning: "The peer closed the connection.", remedy: AGAIN },
  "unavailable/policy": {
    meaning: "The join service cannot tell which policy holds, or the policy changed while it verified a node.",
    remedy: LOOK_AT_SERVICE,
  },
  "unavailable/queue-full": { meaning: "Too many control planes wait to join.", remedy: ASKS_AGAIN },
  "unavailable/removal": {
    meaning: "No join service answered the removal of a node in time, or another operator took it back.",
    remedy: "Look whether a control plane that is left runs its join service, and run the command again: it goes on.",
  },
  "unavailable/stopped": {
    meaning: "The node's bootstrapper was stopped in the middle of an init.",
    remedy: "Start it again: the init goes on.",
  },
  "unavailable/tpm": {
    meaning: "The TPM has no free slot, is locked out, or cannot write its memory now.",
    remedy: "Restart the machine if it does not pass.",
  },
  "unavailable/tpm-busy": { meaning: "The TPM is busy, longer than it is asked again.", remedy: AGAIN },
  "unavailable/tpm-pcrs": {
    meaning: "The PCRs changed while the TPM quoted them, several times.",
    remedy: "Find out what extends PCRs all the time on this machine.",
  },
} as const satisfies ErrorEntries<`unavailable/${string}`>;

/** A deadline passed. */
export const TIMEOUT = {
  "timeout/command": {
    meaning: "A program did not end in time.",
    remedy: "Look whether the machine is overloaded, and at the log of that program.",
  },
  "timeout/connect": {
    meaning: "No connection to the endpoint in time.",
    remedy: "Look whether the address is right, and whether a firewall drops the packets.",
  },
  "timeout/etcd": { meaning: "etcd did not answer, start or end in time.", remedy: LOOK_AT_ETCD },
  "timeout/init": {
    meaning: "The init did not get on for as long as the operator waits. The node may go on with it.",
    remedy: "Run init again: it goes on with the same operation.",
  },
  "timeout/init-step": {
    meaning: "A step of the node's init fails again and again.",
    remedy: "Look at the node's log: `journalctl -u bootstrapper`.",
  },
  "timeout/kubelet": { meaning: "The kubelet was not healthy in time.", remedy: LOOK_AT_KUBELET },
  "timeout/kubernetes-api": { meaning: "The API server did not answer in time.", remedy: LOOK_AT_MANIFEST },
  "timeout/node": { meaning: "The Node was not registered or Ready in time.", remedy: LOOK_AT_KUBELET },
  "timeout/node-certificate": {
    meaning: "The certificate of the node was not signed in time.",
    remedy: "Look whether kube-controller-manager runs: it signs certificates.",
    untested: "it takes a cluster without kube-controller-manager",
  },
  "timeout/peer": {
    meaning: "The peer sent or took nothing for too long.",
    remedy: "Look at the log of the peer, and whether its machine is overloaded.",
  },
} as const satisfies ErrorEntries<`timeout/${string}`>;

/** Ended by its owner. */
export const ABORTED = {
  "aborted/call": { meaning: "A call was cancelled, by this side or by the peer.", remedy: AGAIN },
  "aborted/command": { meaning: "A program was stopped, as what it served was stopped.", remedy: ITS_OWN_END },
  "aborted/dial": { meaning: "A connection was given up before it stood.", remedy: ITS_OWN_END },
  "aborted/etcd": { meaning: "A call to etcd was given up.", remedy: ITS_OWN_END },
  "aborted/init": {
    meaning: "The operator's command was stopped. The node may go on with the init.",
    remedy: "Run init again: it goes on with the same operation.",
  },
  "aborted/join": { meaning: "The join was stopped.", remedy: "Start the bootstrapper again: it goes on." },
  "aborted/lost-race": {
    meaning: "The node stopped to look for a cluster, as an operator initialises one on it.",
    remedy: "Nothing: the init goes on.",
  },
  "aborted/prompt": { meaning: "A question was answered with no, or not answered.", remedy: "Nothing was changed." },
  "aborted/removal": {
    meaning: "The removal of a node was stopped before its end.",
    remedy: "Run the command again: it goes on.",
    untested: "it takes a signal to the process that runs the tests",
  },
  "aborted/run": { meaning: "The bootstrapper was stopped.", remedy: "Start it again: it goes on." },
  "aborted/signal": {
    meaning: "The command was ended by SIGTERM or SIGINT.",
    remedy: ITS_OWN_END,
    untested: "it takes a signal to the process that runs the tests",
  },
  "aborted/superseded": {
    meaning: "The same operator has begun another init of the node.",
    remedy: "Follow that one.",
  },
  "aborted/ticket-search": {
    meaning: "The search for a ticket was stopped, or an attempt of it gave way to another.",
    remedy: ITS_OWN_END,
  },
} as const satisfies ErrorEntries<`aborted/${string}`>;
