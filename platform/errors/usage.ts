/**
 * Errors of the family `usage`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const HELP = "Run the command with `--help`.";

/** A wrong input by a person. */
export const USAGE = {
  "usage/backup-keep": {
    meaning: "The number of backups to keep, or of days, is no number from 1 to 99999.",
    remedy: "Give such a number.",
  },
  "usage/backup-recipient": {
    meaning: "A text is not the public key of a recipient of backups, or a file names none.",
    remedy: "Give the line that `bootstrapper keygen --backup` printed.",
  },
  "usage/backup-target": {
    meaning: "Backups are to be kept by count or by age, and the target is one file.",
    remedy: "Give a folder to `--to`, or leave out `--keep` and `--keep-days`.",
  },
  "usage/boot-program": {
    meaning: "A file that was given as the shim or the boot loader is another program.",
    remedy: "Give the shim with `--shim` and systemd-boot with `--boot-loader`, as they are in the boot partition.",
  },
  "usage/cluster-name": {
    meaning: "The name of the cluster is not an RFC 1123 label.",
    remedy: "Use at most 63 lower-case letters, digits and hyphens, with a letter or a digit at both ends.",
  },
  "usage/collateral": {
    meaning: "The command line does not say which collateral to fetch, for which platform, or where to put it.",
    remedy: "Give evidence files or `--platform`, and `--collateral` or a `--policy` that names a folder.",
  },
  "usage/collateral-url": {
    meaning:
      "The address of the collateral cache, or of a vendor's service, is not an https URL, or it has a user, a query or a fragment.",
    remedy: "Write it as https://HOST/PATH.",
  },
  "usage/command-line": {
    meaning: "The command line cannot be read, for a reason that has no code of its own.",
    remedy: HELP,
    untested: "every reason that the parser of arguments is known to give has a code of its own",
  },
  "usage/configuration": {
    meaning:
      "The node's configuration has a wrong value or a wrong combination, or lacks a value that cannot be determined automatically.",
    remedy: "Correct the key that the error names.",
  },
  "usage/conflicting-option": {
    meaning: "Two options exclude each other.",
    remedy: HELP,
    untested: "the commands check their combinations themselves, but the parser of arguments can still report it",
  },
  "usage/document": {
    meaning: "A document is not YAML, is too large, or has a key or a value that is not allowed.",
    remedy: "Correct the key that the error names.",
  },
  "usage/duration": {
    meaning: "A duration cannot be read.",
    remedy: "Use a form such as 90s, 10m or 1h. The maximum is one day.",
  },
  "usage/endpoint": {
    meaning: "An endpoint cannot be read.",
    remedy: "Write HOST or HOST:PORT; the host is an IPv4 address, an IPv6 address in brackets or a DNS name.",
  },
  "usage/etcd-credentials": {
    meaning: "A certificate or the key for etcd cannot be used, or the key does not match its certificate.",
    remedy: "Check the files below /etc/kubernetes/pki/etcd.",
  },
  "usage/etcd-endpoint": {
    meaning: "An endpoint of etcd is not HOST:PORT.",
    remedy: "Check the client URL in the annotation of etcd's Pod.",
  },
  "usage/etcd-member": {
    meaning: "The ID of an etcd member is not 16 hexadecimal digits.",
    remedy: "Give the ID as `etcdctl member list` shows it.",
  },
  "usage/evidence": {
    meaning: "`verify` was given neither or more than one of an evidence file and a node.",
    remedy: "Name an evidence file; or a node with `--node`, with `--name` and the operators' keys.",
  },
  "usage/excess-arguments": { meaning: "There are more arguments than the command takes.", remedy: HELP },
  "usage/founding-token": {
    meaning: "The founding token is mistyped.",
    remedy: "Copy it again as `bootstrapper token new --founding` printed it, or make another one for the cluster.",
  },
  "usage/founding-token-missing": {
    meaning: "The configuration has a token key, and the machine was not given the founding token.",
    remedy: "Give the machine the token as the credential `bootstrapper.token`.",
  },
  "usage/founding-token-other": {
    meaning: "The founding token is not the one of the token key in the configuration, or the configuration has none.",
    remedy: "Give the token that was printed together with trust.founding.tokenKey, for the same cluster name.",
  },
  "usage/identity": {
    meaning: "An identity is not 64 hexadecimal digits, or a name for it is no node name.",
    remedy: "Give it as `bootstrapper evidence` prints it.",
  },
  "usage/invalid-argument": { meaning: "An argument or the value of an option is not allowed.", remedy: HELP },
  "usage/key-comment": {
    meaning: "The comment of a key has characters that are not printable ASCII.",
    remedy: "Choose another comment.",
  },
  "usage/key-file-mode": {
    meaning: "The file of an operator's private key is accessible to its group or to everybody.",
    remedy: "Run `chmod 600` on the file.",
  },
  "usage/kubeconfig": {
    meaning: "The kubeconfig file exists already, and belongs to another cluster.",
    remedy: "Name another file with `--kubeconfig`, or move the existing one away.",
    untested: "the whole of init has only integration tests, and none of them has another cluster's kubeconfig",
  },
  "usage/kubernetes-credentials": {
    meaning: "The credentials for the Kubernetes API are not an https URL with usable certificates and a key.",
    remedy: "Check the kubeconfig that they come from.",
  },
  "usage/manifest": {
    meaning: "A manifest cannot be read, does not fit the cluster's settings, or is refused by the API server.",
    remedy: "Correct the object that the error names. Nothing is applied of a manifest that cannot be read.",
  },
  "usage/missing-argument": { meaning: "An argument that the command requires is missing.", remedy: HELP },
  "usage/missing-mandatory-option-value": {
    meaning: "An option that the command requires is missing.",
    remedy: HELP,
  },
  "usage/no-configuration": {
    meaning: "The node has no configuration at any of the searched places.",
    remedy: "Give the machine the systemd credential, or write the configuration file, or use `--config`.",
  },
  "usage/no-subcommand": { meaning: "No command was given.", remedy: "Run `bootstrapper --help`." },
  "usage/no-terminal": {
    meaning: "A passphrase or a confirmation is needed and standard input is not a terminal.",
    remedy: "Use `--passphrase-file`, or `--yes`.",
  },
  "usage/node": {
    meaning: "`--node` was given without the options that it needs, or an option was given that needs `--node`.",
    remedy: "Give `--node` with `--name` and `--key`.",
  },
  "usage/node-name": {
    meaning: "The name of a Node is not an RFC 1123 subdomain of at most 63 characters.",
    remedy: "Give the name as `kubectl get nodes` shows it.",
  },
  "usage/operator-key": {
    meaning: "The file is no operator's key, the key is not an Ed25519 key, or a private key stands for a public one.",
    remedy: "Make one with `bootstrapper keygen`.",
  },
  "usage/option-missing-argument": { meaning: "An option has no value.", remedy: HELP },
  "usage/output": {
    meaning: "A picture and JSON were requested at once.",
    remedy: "Leave out one of the two options.",
  },
  "usage/passphrase": {
    meaning: "A passphrase is wrong, missing, empty, too long or not needed; or the two typed passphrases differ.",
    remedy: "Give the passphrase of the key, on one line.",
  },
  "usage/pcr": { meaning: "The number of a PCR is not from 0 to 15.", remedy: "Give a number from 0 to 15." },
  "usage/phase": {
    meaning: "The name of a phase of boot is not in lower-case letters and hyphens.",
    remedy: "Give names such as enter-initrd, with colons in between.",
  },
  "usage/policy-config-map": {
    meaning: "The ConfigMap of the policy does not have the key that holds the policy.",
    remedy: "Put the policy under the key that the error names.",
  },
  "usage/policy-sources": {
    meaning: "The evidence files, images and options do not make a policy.",
    remedy: "Follow the advice in the error: it names the source that does not fit.",
  },
  "usage/register": {
    meaning: "An option that selects nodes by a register has a value of the wrong form.",
    remedy: "Give at least 8 hexadecimal digits; for a PCR its number first: 11=868b6d3a.",
  },
  "usage/restore": {
    meaning: "The command line does not say what to do with the backup, or says two things.",
    remedy: "Give either `--drill` or `--unpack`.",
  },
  "usage/uki-stub": {
    meaning: "The unified kernel image has a stub whose measurements are not known.",
    remedy:
      "Build the image with a stub of systemd 252 to 257, or make the policy from evidence of a machine that booted the image.",
  },
  "usage/unknown-command": { meaning: "There is no such command.", remedy: "Run `bootstrapper --help`." },
  "usage/unknown-option": { meaning: "The command has no such option.", remedy: HELP },
} as const satisfies ErrorEntries<`usage/${string}`>;
