/**
 * The cluster's RBAC manifests: `deploy/rbac.yaml`, embedded.
 *
 * @module
 */
import * as v from "valibot";
import { parseAllDocuments } from "yaml";
import manifests from "../deploy/rbac.yaml" with { type: "text" };
import type { KubernetesApi } from "./api.ts";

/** The namespace of the admission records. */
export const BOOTSTRAPPER_NAMESPACE = "bootstrapper-system";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** A Kubernetes object of the manifest. */
export interface Manifest {
  readonly kind: "Namespace" | "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding";
  /** `namespace` is empty for cluster-wide objects. */
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const manifestSchema = v.looseObject({
  kind: v.picklist(["Namespace", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
  metadata: v.looseObject({ name: v.string(), namespace: v.optional(v.string(), "") }),
});

/** Returns the manifests, in the order in which they are applied. */
export function clusterRbac(): Manifest[] {
  return parseAllDocuments(manifests).map((document) => v.parse(manifestSchema, document.toJS()));
}

function pathOf({ kind, metadata: { name, namespace } }: Manifest): string {
  switch (kind) {
    case "Namespace":
      return `/api/v1/namespaces/${name}`;
    case "ClusterRole":
      return `${RBAC}/clusterroles/${name}`;
    case "ClusterRoleBinding":
      return `${RBAC}/clusterrolebindings/${name}`;
    case "Role":
      return `${RBAC}/namespaces/${namespace}/roles/${name}`;
    case "RoleBinding":
      return `${RBAC}/namespaces/${namespace}/rolebindings/${name}`;
  }
}

/** Creates or updates the objects of {@linkcode clusterRbac}. It may be repeated. */
export async function applyClusterRbac(api: KubernetesApi): Promise<void> {
  for (const manifest of clusterRbac()) await api.apply(pathOf(manifest), manifest);
}
