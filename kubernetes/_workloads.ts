import * as v from "valibot";
import { present } from "../platform/present.ts";
import { redact } from "./_redact.ts";

const LONGEST_REASON = 200;

const conditionSchema = v.object({
  type: v.string(),
  status: v.string(),
  reason: v.optional(v.string(), ""),
  message: v.optional(v.string(), ""),
});
const count = v.optional(v.number(), 0);

/** The part of an object that tells whether it works. */
export const workloadSchema = v.object({
  metadata: v.object({ generation: count }),
  status: v.optional(
    v.object({
      observedGeneration: count,
      conditions: v.optional(v.array(conditionSchema), []),
      desiredNumberScheduled: count,
      updatedNumberScheduled: count,
      numberReady: count,
    }),
    {},
  ),
});

/** The kinds whose objects are waited for, by the group of their API. */
const WORKLOADS: Readonly<Record<string, readonly string[]>> = { apps: ["DaemonSet", "Deployment"] };

/** Whether an object is waited for. */
export function isWorkload({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): boolean {
  return WORKLOADS[apiVersion.split("/")[0] ?? ""]?.includes(kind) ?? false;
}

/**
 * Says what a workload still lacks, as a clause; `undefined` if it is ready: all Pods of a DaemonSet, and as many of a
 * Deployment as it allows to be missing.
 */
export function missingOf(
  kind: string,
  { metadata, status }: v.InferOutput<typeof workloadSchema>,
): string | undefined {
  const { observedGeneration = 0, conditions = [] } = status;
  if (observedGeneration < metadata.generation) return "no controller has seen it yet";
  if (kind === "DaemonSet") {
    const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberReady = 0 } = status;
    const ready = Math.min(updatedNumberScheduled, numberReady);
    return ready < desiredNumberScheduled ? `${ready} of ${desiredNumberScheduled} Pods are ready` : undefined;
  }
  const available = conditions.find(({ type }) => type === "Available");
  if (available?.status === "True") return undefined;
  return available === undefined ? "it has no Pods yet" : reasonText(available);
}

/** The part of a CustomResourceDefinition that tells whether its objects can be created. */
export const definitionSchema = v.object({
  status: v.optional(v.object({ conditions: v.optional(v.array(conditionSchema), []) }), {}),
});

/** Says why a definition's objects cannot be created yet, as a clause; `undefined` if they can. */
export function notEstablished({ status }: v.InferOutput<typeof definitionSchema>): string | undefined {
  const conditions = status.conditions ?? [];
  if (conditions.some(({ type, status }) => type === "Established" && status === "True")) return undefined;
  const refused = conditions.find(({ type, status }) => type === "NamesAccepted" && status === "False");
  return refused === undefined ? "it is not Established yet" : reasonText(refused);
}

function reasonText({ reason, message }: { readonly reason: string; readonly message: string }): string {
  return redact(message === "" ? reason : message).slice(0, LONGEST_REASON);
}

/** A Pod's network is missing on a Node that says so in its condition Ready. */
const NO_NETWORK = /cni plugin not initialized|NetworkPluginNotReady|NetworkReady=false|cni config uninitialized/i;

/** The form of a Node of which only its state is read. */
export const nodeSchema = v.object({
  status: v.optional(v.object({ conditions: v.optional(v.array(conditionSchema), []) }), {}),
});

/** Why a Node is not Ready. */
export interface NotReady {
  /** The kubelet's reason, as a clause; absent if it has said nothing yet. */
  readonly reason?: string;
  /** Whether its Pods have no network. */
  readonly lacksNetwork: boolean;
}

/** Says why a Node is not Ready; `undefined` if it is. */
export function notReadyOf({ status }: v.InferOutput<typeof nodeSchema>): NotReady | undefined {
  const ready = status.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status === "True") return undefined;
  const reason = ready === undefined ? "" : reasonText(ready);
  return { ...present("reason", reason === "" ? undefined : reason), lacksNetwork: NO_NETWORK.test(reason) };
}
