/**
 * The subjects of the certificates that this project issues and checks. Kubernetes takes CN as the user and O as
 * the groups.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { isNodeName } from "../platform/label.ts";
import { ATTRIBUTE, type NameAttribute, sameAttributes } from "./name.ts";

/** The operator's administrator. kubeadm binds this group to cluster-admin. */
export const ADMIN_SUBJECT: readonly NameAttribute[] = subject("kubeadm:cluster-admins", "bootstrapper-admin");

const SIGNERS = "bootstrapper:signers";
const SIGNER_PREFIX = "bootstrapper:signer:";
const NODES = "system:nodes";
const NODE_PREFIX = "system:node:";
const ADMISSION_PREFIX = "bootstrapper:admission:";
const EPOCH_PREFIX = "bootstrapper:epoch:";
/** `metadata.uid` of a Kubernetes object: a UUID (RFC 9562, 4; `k8s.io/apimachinery/pkg/util/uuid`). */
const UID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const EPOCH = /^[1-9][0-9]{0,8}$/;
/** The largest epoch: it has nine digits. */
export const LARGEST_EPOCH = 999_999_999;

/** Whether a text is an object's UID as the API server makes them: hexadecimal digits and hyphens only. */
export function isUid(text: string): boolean {
  return UID.test(text);
}

/** Whether a number is an epoch: whole, from 1 to {@linkcode LARGEST_EPOCH}. */
export function isEpoch(epoch: number): boolean {
  return Number.isInteger(epoch) && epoch >= 1 && epoch <= LARGEST_EPOCH;
}

/** Reads the only decimal form of an epoch; `undefined` if the text is none. */
export function readEpoch(text: string): number | undefined {
  return EPOCH.test(text) ? Number(text) : undefined;
}

/** The group of the node certificates of an admission. */
export function admissionGroup(uid: string): string {
  return ADMISSION_PREFIX + uid;
}

/** The UID of the admission whose group this is; `undefined` if it is no such group. */
export function admissionUidOf(group: string): string | undefined {
  const uid = group.startsWith(ADMISSION_PREFIX) ? group.slice(ADMISSION_PREFIX.length) : "";
  return isUid(uid) ? uid : undefined;
}

/** The group of the node certificates of an epoch. */
export function epochGroup(epoch: number): string {
  return EPOCH_PREFIX + epoch;
}

/** The epoch whose group this is; `undefined` if it is no such group. */
export function epochOf(group: string): number | undefined {
  return group.startsWith(EPOCH_PREFIX) ? readEpoch(group.slice(EPOCH_PREFIX.length)) : undefined;
}

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
  return isNodeName(nodeName) && sameAttributes(attributes, signerSubject(nodeName));
}

/** The one subject that all join services of earlier versions had. It has no rights any more. */
export const EARLIER_SERVICE_SUBJECT: readonly NameAttribute[] = subject(
  "bootstrapper:join-services",
  "bootstrapper:join-service",
);

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
  if ((admissionUid !== undefined && !isUid(admissionUid)) || !isEpoch(epoch)) {
    throw new BootstrapError("internal/admission", `Cannot name the admission ${admissionUid} of epoch ${epoch}`);
  }
  const admission = admissionUid === undefined ? [] : [admissionGroup(admissionUid)];
  return Object.freeze([
    ...[NODES, ...admission, epochGroup(epoch)].map((value) => ({ oid: ATTRIBUTE.organization, value })),
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
  const [admissionUid, epoch] = [firstOf(attributes, admissionUidOf), firstOf(attributes, epochOf)];
  if (admissionUid === undefined || epoch === undefined) return undefined;
  const groups = { admissionUid, epoch };
  return sameAttributes(attributes, admittedNodeSubject(nodeName, groups)) ? groups : undefined;
}

/** What the first group that has a meaning means. */
function firstOf<T>(attributes: readonly NameAttribute[], meaning: (group: string) => T | undefined): T | undefined {
  return attributes.filter(({ oid }) => oid === ATTRIBUTE.organization).map(({ value }) => meaning(value))
    .find((found) => found !== undefined);
}

/** Returns the name of the node whose certificate has a subject, if there is one. */
export function nodeNameOf(attributes: readonly NameAttribute[]): string | undefined {
  const user = attributes.find(({ oid }) => oid === ATTRIBUTE.commonName)?.value ?? "";
  const nodeName = user.slice(NODE_PREFIX.length);
  return user.startsWith(NODE_PREFIX) && isNodeName(nodeName) ? nodeName : undefined;
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
