/**
 * Kubernetes Events on admission records and Nodes: what `kubectl describe` shows below an object.
 *
 * @module
 */
import * as v from "valibot";
import { hex, randomBytes } from "../platform/bytes.ts";
import type { KubernetesApi } from "./api.ts";

/** The object that an Event is about. */
export interface EventTarget {
  readonly kind: "NodeAdmission" | "Node";
  readonly name: string;
  /** `metadata.uid`. Events on a Node have its name here, as the kubelet's own have. */
  readonly uid: string;
}

/** What happened. */
export interface ObjectEvent {
  readonly type: "Normal" | "Warning";
  /** One word: `Admitted`. */
  readonly reason: string;
  /** A sentence. It is shortened to what the API server takes. */
  readonly message: string;
  readonly now: Date;
}

const API_VERSIONS = { NodeAdmission: "bootstrapper.dev/v1", Node: "v1" } as const;
/** Events on objects without a namespace are in this one (`ValidateEvent` in Kubernetes' `core/validation/events.go`). */
const EVENTS_PATH = "/api/v1/namespaces/default/events";
const COMPONENT = "bootstrapper";
/** The API server takes 1,024 bytes. */
const LONGEST_MESSAGE = 900;

/** The Node of a name, as the target of an Event. */
export function nodeTarget(name: string): EventTarget {
  return { kind: "Node", name, uid: name };
}

/** Creates an Event. Throws the errors of {@linkcode KubernetesApi}. */
export async function createEvent(
  api: Pick<KubernetesApi, "create">,
  { kind, name, uid }: EventTarget,
  { type, reason, message, now }: ObjectEvent,
): Promise<void> {
  const time = now.toISOString().replace(/\.\d+Z$/, "Z");
  await api.create(EVENTS_PATH, {
    metadata: { name: `${name}.${hex(randomBytes(8))}` },
    involvedObject: { apiVersion: API_VERSIONS[kind], kind, name, uid },
    ...{ type, reason, message: message.slice(0, LONGEST_MESSAGE) },
    ...{ firstTimestamp: time, lastTimestamp: time, count: 1 },
    ...{ source: { component: COMPONENT }, reportingComponent: COMPONENT },
  }, v.unknown());
}
