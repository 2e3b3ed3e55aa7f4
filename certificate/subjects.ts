/**
 * The subjects of the certificates that this project issues and checks. Kubernetes takes CN as the user and O as
 * the groups.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";
import { ATTRIBUTE, type NameAttribute, sameAttributes } from "./name.ts";

/** The operator's administrator. kubeadm binds this group to cluster-admin. */
export const ADMIN_SUBJECT: readonly NameAttribute[] = subject("kubeadm:cluster-admins", "bootstrapper-admin");

const SIGNERS = "bootstrapper:signers";
const SIGNER_PREFIX = "bootstrapper:signer:";
const NODES = "system:nodes";
const NODE_PREFIX = "system:node:";
const ADMISSION_PREFIX = "bootstrapper:admission:";
const EPOCH_PREFIX = "bootstrapper:epoch:";
/** `metadata.uid` of a Kubernetes object: a UUID (RFC 9562, 4). */
const UID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const EPOCH = /^[1-9][0-9]{0,8}$/;

/** The join service of a control plane, whose permissions are in `deploy/rbac.yaml`. Each has a user of its own. */
export function signerSubject(nodeName: string): readonly NameAttribute[] {
  return subject(SIGNERS, `${SIGNER_PREFIX}${nodeName}`);
}

/** The form of {@linkcode signerSubject}, for people. */
export const SIGNER_SUBJECT_FORM = `O=${SIGNERS}, CN=${SIGNER_PREFIX}NAME`;

/** Whether a subject is exactly that of a join service, on a node of any valid name. */
export function isSignerSubject(attributes: readonly NameAttribute[]): boolean {
  const user = attributes.find(({ oid }) => oid === ATTRIBUTE.commonName)?.value ?? "";
  const nodeName = user.slice(SIGNER_PREFIX.length);
  return isLabel(nodeName) && sameAttributes(attributes, signerSubject(nodeName));
}

/** An admission of a node, as its client certificate names it. */
export interface AdmissionGroups {
  /** The UID of the admission's record; absent in certificates with which a control plane starts without its API server. */
  readonly admissionUid?: string;
  /** From 1. Older epochs are refused by the API server once the cluster has left them. */
  readonly epoch: number;
}

/**
 * A node's client certificate: a user as the API server's node authorizer expects it, and the groups by which the API
 * server refuses the requests of a removed node.
 *
 * @throws {BootstrapError} `internal/admission` for a UID or an epoch that is none.
 */
export function admittedNodeSubject(
  nodeName: string,
  { admissionUid, epoch }: AdmissionGroups,
): readonly NameAttribute[] {
  if ((admissionUid !== undefined && !UID.test(admissionUid)) || !EPOCH.test(String(epoch))) {
    throw new BootstrapError("internal/admission", `Cannot name the admission ${admissionUid} of epoch ${epoch}`);
  }
  const admission = admissionUid === undefined ? [] : [ADMISSION_PREFIX + admissionUid];
  return Object.freeze([
    ...[NODES, ...admission, EPOCH_PREFIX + epoch].map((value) => ({ oid: ATTRIBUTE.organization, value })),
    { oid: ATTRIBUTE.commonName, value: `${NODE_PREFIX}${nodeName}` },
  ]);
}

/** The form of {@linkcode admittedNodeSubject}, for people. */
export function admittedNodeForm(nodeName: string): string {
  return `O=${NODES}, O=${ADMISSION_PREFIX}UID, O=${EPOCH_PREFIX}N, CN=${NODE_PREFIX}${nodeName}`;
}

/** Returns the admission that a subject names, if it is exactly that of an admitted node of this name. */
export function admissionOf(
  attributes: readonly NameAttribute[],
  nodeName: string,
): Required<AdmissionGroups> | undefined {
  const after = (prefix: string) =>
    attributes.find(({ oid, value }) => oid === ATTRIBUTE.organization && value.startsWith(prefix))
      ?.value.slice(prefix.length) ?? "";
  const [admissionUid, epoch] = [after(ADMISSION_PREFIX), after(EPOCH_PREFIX)];
  if (!UID.test(admissionUid) || !EPOCH.test(epoch)) return undefined;
  const groups = { admissionUid, epoch: Number(epoch) };
  return sameAttributes(attributes, admittedNodeSubject(nodeName, groups)) ? groups : undefined;
}

/** Returns the name of the node whose certificate has a subject, if there is one. */
export function nodeNameOf(attributes: readonly NameAttribute[]): string | undefined {
  const user = attributes.find(({ oid }) => oid === ATTRIBUTE.commonName)?.value ?? "";
  const nodeName = user.slice(NODE_PREFIX.length);
  return user.startsWith(NODE_PREFIX) && isLabel(nodeName) ? nodeName : undefined;
}

/** A node in its requests for certificates, and in the certificate that its kubelet serves with. */
export function nodeSubject(nodeName: string): readonly NameAttribute[] {
  return subject(NODES, `${NODE_PREFIX}${nodeName}`);
}

function subject(organization: string, commonName: string): readonly NameAttribute[] {
  return Object.freeze([
    { oid: ATTRIBUTE.organization, value: organization },
    { oid: ATTRIBUTE.commonName, value: commonName },
  ]);
}
