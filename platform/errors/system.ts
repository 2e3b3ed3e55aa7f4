/**
 * Errors of the families `system` and `internal`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const LOOK_AT_KUBEADM = "Check kubeadm's reason, the kubelet's log, and whether the cluster can be reached.";
const LOOK_AT_KERNEL = "Check the kernel's log, and the version of the kernel and of the host's firmware.";
const REPORT = "Please report it with the whole output.";
const GUARD = "the program never does this: the check guards against a defect, and no input reaches it";

/** A failure of the operating system, a device or another program. */
export const SYSTEM = {
  "system/command": {
    meaning: "A program cannot be started, or ended with an error.",
    remedy: "Check the reason that the error names, and whether the machine's image has the program.",
  },
  "system/device": {
    meaning: "The process with access to this machine's devices has ended or does not answer.",
    remedy: "Check the log for the reason, and start the bootstrapper again.",
  },
  "system/device-silent": {
    meaning: "A device of this confidential VM did not answer in time.",
    remedy:
      "The bootstrapper starts again and asks anew. Check the kernel's log, and the version of the host's firmware.",
  },
  "system/dumpable": {
    meaning: "The kernel does not keep other processes of the same user from reading the signer's memory.",
    remedy: LOOK_AT_KERNEL,
    untested: "Linux refuses this to no process",
  },
  "system/etcd": { meaning: "etcd failed in a way that has no code of its own.", remedy: "Check etcd's log." },
  "system/file": {
    meaning: "A file or a folder cannot be read or written.",
    remedy: "Check the reason and the path that the error names: rights, free space, a read-only disk.",
  },
  "system/init-step": {
    meaning: "The API server of the node refused a step of the init for minutes.",
    remedy: "Check the API server of the node, its log and its configuration.",
  },
  "system/kubeadm": {
    meaning: "kubeadm failed.",
    remedy: LOOK_AT_KUBEADM,
    sometimes:
      "a phase of kubeadm that waits for the cluster or the kubelet may succeed later; one that works on local files may not",
  },
  "system/kubeadm-reset": {
    meaning: "`kubeadm reset` failed.",
    remedy: "Correct the problem that it reports, and run `bootstrapper reset` again: it continues.",
  },
  "system/listen": {
    meaning: "A port cannot be opened, or it no longer accepts connections.",
    remedy: "Check which program uses the port, and how many files the process may open (LimitNOFILE= of its unit).",
  },
  "system/node-lock": {
    meaning: "The node lock vanished while it was taken, or taking it failed in a way that has no code of its own.",
    remedy:
      "Check whether another program writes into the bootstrapper's state folder, and start the bootstrapper again.",
    untested: "it takes a lock that vanishes between two operations of its taker",
  },
  "system/run-lock": {
    meaning: "The file that keeps a second bootstrapper from running cannot be used.",
    remedy: "Check the reason and the path that the error names.",
  },
  "system/snp-report": {
    meaning: "The secure processor's report is not over the given data.",
    remedy: LOOK_AT_KERNEL,
  },
  "system/tdx-quote": { meaning: "The platform's quote is not over the given data.", remedy: LOOK_AT_KERNEL },
  "system/tdx-register": {
    meaning: "A measurement register of the TD cannot be read or extended.",
    remedy: "Use a kernel of version 6.16 or later with the driver tdx_guest.",
  },
  "system/tpm": {
    meaning: "The TPM refused a command permanently.",
    remedy: "Restart the machine, or reset the TPM's owner in the firmware's setup.",
  },
  "system/tpm-pcr": {
    meaning: "The TPM does not have SHA-256 values for all of the PCRs.",
    remedy: "Switch on the SHA-256 bank in the firmware's setup.",
  },
  "system/tpm-silent": {
    meaning: "The TPM did not answer in time.",
    remedy: "The bootstrapper starts again and asks anew. Restart the machine if the TPM stays silent.",
  },
  "system/tpm-transport": {
    meaning: "The TPM's device cannot be opened, read or written.",
    remedy: "Check that the machine has a TPM 2.0 and that the bootstrapper may read and write its device.",
  },
  "system/tsm": { meaning: "The kernel's interface for reports failed.", remedy: LOOK_AT_KERNEL },
  "system/tsm-generation": {
    meaning: "Another program wrote to the report of this process, or the kernel refused the data.",
    remedy: "Run the command again, and find the other program that requests reports on this machine.",
  },
  "system/unit": {
    meaning: "A systemd unit cannot be stopped.",
    remedy: "Check `systemctl status` of the unit. A reset needs root.",
  },
} as const satisfies ErrorEntries<`system/${string}`>;

/** A defect of the bootstrapper. */
export const INTERNAL = {
  "internal/admission": { meaning: "The admission UID or the epoch for a certificate is invalid.", remedy: REPORT },
  "internal/argument": { meaning: "An argument that must be given has no value.", remedy: REPORT },
  "internal/byte-field": { meaning: "A number is too large for the field that it is written to.", remedy: REPORT },
  "internal/channel-binding": {
    meaning: "The TLS library provides no usable value for the channel binding, or the same value for two connections.",
    remedy: "Do not use this build: its channels cannot be told apart. " + REPORT,
  },
  "internal/cluster-id": { meaning: "A cluster ID does not have 32 bytes.", remedy: REPORT },
  "internal/collateral": {
    meaning: "A document of a manufacturer was requested by a name that could lead to another path.",
    remedy: REPORT,
  },
  "internal/device": { meaning: "The process with access to the devices answered another request.", remedy: REPORT },
  "internal/digest": { meaning: "A digest for a register does not have its length.", remedy: REPORT },
  "internal/etcd": { meaning: "No endpoint of etcd was called.", remedy: REPORT, untested: GUARD },
  "internal/evidence": {
    meaning: "Evidence without a kind was made or verified, or evidence was accepted despite a failed check.",
    remedy: REPORT,
  },
  "internal/evidence-file": { meaning: "An evidence file has no evidence.", remedy: REPORT, untested: GUARD },
  "internal/expectation": {
    meaning: "Evidence would be verified against nothing, or against values of the wrong length.",
    remedy: REPORT,
  },
  "internal/kubernetes-api": {
    meaning: "The API server answered with a status that the request does not allow for.",
    remedy: "Check whether the address is that of an API server. " + REPORT,
  },
  "internal/lock-record": { meaning: "The lock of a node would be written with wrong fields.", remedy: REPORT },
  "internal/option": { meaning: "An option that must have a value has none.", remedy: REPORT, untested: GUARD },
  "internal/pcr": { meaning: "The PCR to look up is in no quote.", remedy: REPORT, untested: GUARD },
  "internal/permissions": {
    meaning: "The process cannot give up a permission that it does not need.",
    remedy: "Do not run this build. " + REPORT,
  },
  "internal/policy": {
    meaning: "A policy requires a kind of evidence but has no section on it, or was made without evidence.",
    remedy: REPORT,
  },
  "internal/race": { meaning: "Init or join began before the node lock was read.", remedy: REPORT, untested: GUARD },
  "internal/register": {
    meaning: "Machines of that kind do not have the used register.",
    remedy: REPORT,
  },
  "internal/registers": { meaning: "Registers of several kinds would be extended as one.", remedy: REPORT },
  "internal/removal": { meaning: "A removal ended before it started.", remedy: REPORT, untested: GUARD },
  "internal/report-data": { meaning: "A report was requested over data of the wrong length.", remedy: REPORT },
  "internal/statement": { meaning: "Evidence was requested over a statement of the wrong length.", remedy: REPORT },
  "internal/ticket": { meaning: "A control plane would join with a worker's ticket.", remedy: REPORT, untested: GUARD },
  "internal/tpm-field": {
    meaning: "A command for a TPM is too long.",
    remedy: REPORT,
  },
  "internal/token-founding": { meaning: "A founding token of another cluster would sign.", remedy: REPORT },
  "internal/unexpected": {
    meaning: "An error without a code was thrown.",
    remedy: REPORT,
  },
} as const satisfies ErrorEntries<`internal/${string}`>;
