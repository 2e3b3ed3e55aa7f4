/**
 * The subjects of the client certificates that this project issues and checks. Kubernetes takes CN as the user and O as
 * the groups.
 *
 * @module
 */
import { ATTRIBUTE, type NameAttribute } from "./name.ts";

/** The operator's administrator. kubeadm binds this group to cluster-admin. */
export const ADMIN_SUBJECT: readonly NameAttribute[] = subject("kubeadm:cluster-admins", "bootstrapper-admin");

/** The join service. Its permissions are in `deploy/`. */
export const JOIN_SERVICE_SUBJECT: readonly NameAttribute[] = subject(
  "bootstrapper:join-services",
  "bootstrapper:join-service",
);

/** A node, as the API server's node authorizer expects it. */
export function nodeSubject(nodeName: string): readonly NameAttribute[] {
  return subject("system:nodes", `system:node:${nodeName}`);
}

function subject(organization: string, commonName: string): readonly NameAttribute[] {
  return Object.freeze([
    { oid: ATTRIBUTE.organization, value: organization },
    { oid: ATTRIBUTE.commonName, value: commonName },
  ]);
}
