import type { NodeRole } from "../kubernetes/node_role.ts";

/** The node, as it describes itself to others. */
export interface NodeSelf {
  /** An RFC 1123 subdomain of at most 63 characters. */
  readonly name: string;
  /** An IP address. */
  readonly address: string;
  /** An IP address of the other family, in a cluster of both. */
  readonly secondAddress?: string;
  /** The role that it asks for when it joins. */
  readonly role: NodeRole;
  /** What kubeadm's `nodeRegistration` gets of the node's own configuration. It is sent to nobody. */
  readonly registration?: Readonly<Record<string, unknown>>;
}
