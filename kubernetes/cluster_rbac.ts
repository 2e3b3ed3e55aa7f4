/**
 * What is applied to a cluster: the kinds of `deploy/nodeadmissions.yaml`, and the permissions of `deploy/rbac.yaml`,
 * both embedded.
 *
 * @module
 */
import * as v from "valibot";
import { parseAllDocuments } from "yaml";
import kinds from "../deploy/nodeadmissions.yaml" with { type: "text" };
import permissions from "../deploy/rbac.yaml" with { type: "text" };
import { pollUntil, type Wait } from "./_poll.ts";
import type { KubernetesApi } from "./api.ts";

/** The namespace of the admission records. */
export const BOOTSTRAPPER_NAMESPACE = "bootstrapper-system";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** The kinds of the manifests. */
export const MANIFEST_KINDS = [
  "CustomResourceDefinition",
  "Namespace",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
] as const;

/** A Kubernetes object of the manifests. */
export interface Manifest {
  readonly kind: (typeof MANIFEST_KINDS)[number];
  /** `namespace` is empty for cluster-wide objects. */
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const manifestSchema = v.looseObject({
  kind: v.picklist(MANIFEST_KINDS),
  metadata: v.looseObject({ name: v.string(), namespace: v.optional(v.string(), "") }),
});

/** Returns the manifests, in the order in which they are applied. */
export function clusterRbac(): Manifest[] {
  return [kinds, permissions].flatMap((text) =>
    parseAllDocuments(text).map((document) => v.parse(manifestSchema, document.toJS()))
  );
}

function pathOf({ kind, metadata: { name, namespace } }: Manifest): string {
  switch (kind) {
    case "CustomResourceDefinition":
      return `${DEFINITIONS}/${name}`;
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

/**
 * What earlier versions made, and what must not be there: by the first binding, the controller manager approves what
 * nodes ask for by themselves.
 */
const OBSOLETE: readonly Manifest[] = [
  { kind: "ClusterRoleBinding", metadata: { name: "kubeadm:node-autoapprove-certificate-rotation", namespace: "" } },
];

const FIRST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1_000;

const establishedSchema = v.object({
  status: v.optional(
    v.object({ conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []) }),
    { conditions: [] },
  ),
});

/** How {@linkcode applyClusterRbac} treats a cluster of another maker. */
export interface RbacOptions {
  /** Whether kubelets still get certificates by asking the cluster, as in one that is being adopted. Default: they do not. */
  readonly keepsKubeletSigner?: boolean;
}

/**
 * Creates or updates the objects of {@linkcode clusterRbac}, deletes those of earlier versions, and returns when the API server serves their kinds. It may
 * be repeated.
 *
 * @throws {BootstrapError} `timeout/kubernetes-kinds`, and the errors of {@linkcode KubernetesApi}.
 */
export async function applyClusterRbac(
  api: Pick<KubernetesApi, "apply" | "get" | "remove">,
  wait: Wait,
  { keepsKubeletSigner = false }: RbacOptions = {},
): Promise<void> {
  const manifests = clusterRbac();
  for (const manifest of manifests) await api.apply(pathOf(manifest), manifest);
  if (!keepsKubeletSigner) { for (const obsolete of OBSOLETE) await api.remove(pathOf(obsolete)); }
  for (const definition of manifests.filter(({ kind }) => kind === "CustomResourceDefinition")) {
    await pollUntil(async () => {
      const { status: { conditions } } = await api.get(pathOf(definition), establishedSchema);
      return conditions.some(({ type, status }) => type === "Established" && status === "True") || undefined;
    }, {
      ...wait,
      firstMs: FIRST_LOOK_MS,
      longestMs: LONGEST_LOOK_MS,
      code: "timeout/kubernetes-kinds",
      failure: `The API server did not begin to serve ${definition.metadata.name}`,
    });
  }
}
