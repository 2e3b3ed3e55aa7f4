/** All roles of a node in a cluster. */
export const NODE_ROLES = ["worker", "control-plane"] as const;
/** The role of a node in a cluster. */
export type NodeRole = typeof NODE_ROLES[number];
