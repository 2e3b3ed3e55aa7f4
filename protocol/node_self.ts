import type { NodeRole } from "../kubernetes/node_role.ts";

/** The node as it calls itself towards others. */
export interface NodeSelf {
  /** An RFC 1123 label. */
  readonly name: string;
  /** An IP address. */
  readonly address: string;
  /** What it asks to become when it joins. */
  readonly role: NodeRole;
}
