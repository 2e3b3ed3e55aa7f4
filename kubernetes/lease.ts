/**
 * Leases (`coordination.k8s.io/v1`): the holder of a resource, with start and duration. They are changed only by
 * compare-and-swap.
 *
 * @module
 */
import * as v from "valibot";
import type { KubernetesApi } from "./api.ts";

/** The holder of a Lease. */
export interface LeaseHolder {
  /** `spec.holderIdentity`. */
  readonly identity: string;
  /** `spec.acquireTime`, by the writer's clock. */
  readonly acquireTime: Date;
  /** `spec.renewTime`, by the writer's clock. */
  readonly renewTime: Date;
  /** `spec.leaseDurationSeconds`, counted from the renew time. */
  readonly durationSeconds: number;
}

/** The content of a Lease. */
export interface LeaseState {
  /** The holder; absent if the Lease is free. */
  readonly holder?: LeaseHolder;
  /** `spec.leaseTransitions`: how often the Lease was taken. */
  readonly transitions: number;
  /** `metadata.annotations`, all of them. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A Lease as it is stored. */
export interface StoredLease extends LeaseState {
  /** `metadata.name`. */
  readonly name: string;
  /** `metadata.uid`. A recreated object has another one. */
  readonly uid: string;
  /** `metadata.resourceVersion`. It changes with each update. */
  readonly resourceVersion: string;
}

/** The part of the API that Leases need. */
export type LeaseApi = Pick<KubernetesApi, "find" | "create" | "replace">;

const timeSchema = v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => new Date(text)));

const leaseSchema = v.object({
  metadata: v.object({
    name: v.string(),
    uid: v.string(),
    resourceVersion: v.string(),
    annotations: v.optional(v.record(v.string(), v.string()), {}),
  }),
  spec: v.optional(
    v.object({
      holderIdentity: v.optional(v.string(), ""),
      acquireTime: v.optional(timeSchema),
      renewTime: v.optional(timeSchema),
      leaseDurationSeconds: v.optional(v.pipe(v.number(), v.integer())),
      leaseTransitions: v.optional(v.pipe(v.number(), v.integer()), 0),
    }),
    {},
  ),
});

/** The Leases of one namespace. Throws what {@linkcode KubernetesApi} throws. */
export class Leases {
  readonly #api: LeaseApi;
  readonly #path: string;

  /** Sends nothing yet. */
  constructor(api: LeaseApi, namespace: string) {
    this.#api = api;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  }

  /** Returns the Lease of that name, or `undefined`. */
  async find(name: string): Promise<StoredLease | undefined> {
    const found = await this.#api.find(`${this.#path}/${name}`, leaseSchema);
    return found && stored(found);
  }

  /** Creates a Lease. Throws `conflict/already-exists` if the name is taken. */
  async create(name: string, state: LeaseState): Promise<StoredLease> {
    const { annotations } = state;
    return stored(
      await this.#api.create(this.#path, { metadata: { name, annotations }, spec: spec(state) }, leaseSchema),
    );
  }

  /** Replaces exactly this version. Throws `conflict/changed` if it is no longer the current version. */
  async update({ name, uid, resourceVersion }: StoredLease, state: LeaseState): Promise<StoredLease> {
    const metadata = { name, uid, resourceVersion, annotations: state.annotations };
    return stored(await this.#api.replace(`${this.#path}/${name}`, { metadata, spec: spec(state) }, leaseSchema));
  }
}

function stored({ metadata, spec }: v.InferOutput<typeof leaseSchema>): StoredLease {
  const { holderIdentity: identity, acquireTime, renewTime = acquireTime, leaseDurationSeconds, leaseTransitions } =
    spec;
  const isHeld = identity !== "" && acquireTime !== undefined && renewTime !== undefined &&
    leaseDurationSeconds !== undefined;
  return {
    ...metadata,
    transitions: leaseTransitions,
    ...(isHeld ? { holder: { identity, acquireTime, renewTime, durationSeconds: leaseDurationSeconds } } : {}),
  };
}

function spec({ holder, transitions }: LeaseState): Record<string, unknown> {
  if (holder === undefined) return { leaseTransitions: transitions };
  return {
    holderIdentity: holder.identity,
    acquireTime: microTime(holder.acquireTime),
    renewTime: microTime(holder.renewTime),
    leaseDurationSeconds: holder.durationSeconds,
    leaseTransitions: transitions,
  };
}

/**
 * `meta/v1` MicroTime: RFC 3339 with exactly six decimals of a second (`RFC3339Micro` in apimachinery's
 * `micro_time.go`).
 */
function microTime(time: Date): string {
  return time.toISOString().replace("Z", "000Z");
}
