import * as v from "valibot";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** How much of a task one process does. */
const share = {
  /** The number of nodes. Each node is used once. */
  nodes: count,
  /** The number of nodes that work at the same time. */
  concurrency: count,
  /** When nodes that are not done give up, in milliseconds. */
  deadlineMs: v.number(),
};
const endpoints = v.array(v.object({ host: v.string(), port: v.number() }));
const joinSchema = v.object({
  ...share,
  task: v.literal("join"),
  /** The addresses of the join services. */
  endpoints,
  clusterName: v.string(),
  /** The operator's public key, SPKI in base64. */
  operatorKey: v.string(),
});
const apiSchema = { server: v.string(), caPem: v.string() };

/** A task for several nodes. */
export const loadTaskSchema = v.variant("task", [
  /** Obtain a ticket. */
  joinSchema,
  /** Obtain a ticket, and make the calls of `kubeadm join` with its certificate. */
  v.object({ ...joinSchema.entries, ...apiSchema, task: v.literal("member") }),
  /** Wait in the same way for a listener, and call it once. */
  v.object({ ...share, task: v.literal("bare"), endpoints }),
  /** Have a certificate signed through a CertificateSigningRequest. */
  v.object({ ...share, ...apiSchema, task: v.literal("csr"), certificatePem: v.string(), keyPem: v.string() }),
  /** Make the calls of a plain `kubeadm join` with a bootstrap token, and those of the kubelet that it starts. */
  v.object({ ...share, ...apiSchema, task: v.literal("kubeadm"), token: v.string() }),
]);

/** A task for several nodes. */
export type LoadTask = v.InferOutput<typeof loadTaskSchema>;

/** The task of that kind. */
export type LoadTaskOf<Kind extends LoadTask["task"]> = Extract<LoadTask, { readonly task: Kind }>;
