/** What a node may be in a cluster. */
export const NODE_ROLES = ["worker", "control-plane"] as const;
/** What a node is in a cluster. */
export type NodeRole = typeof NODE_ROLES[number];
