/**
 * Shared by the tests of the queue of control planes: Leases in memory, an etcd that is a list, and clocks that are set
 * by hand.
 *
 * @module
 */
import type { AnswerSchema } from "../../kubernetes/api.ts";
import type { EtcdHealth, EtcdMember } from "../../kubernetes/etcd_health.ts";
import type { LeaseApi } from "../../kubernetes/lease.ts";
import type { Clock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { ControlPlaneQueue } from "../control_plane_queue.ts";
import type { ControlPlaneQueueParts, QueuedNode } from "../control_plane_queue.ts";

/** The start of the tests' time, milliseconds since 1970. */
export const START_MS = Date.UTC(2026, 0, 1);

interface StoredObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
}

/** Objects as the API server keeps them. Each write needs the current resource version. */
export class MemoryLeases implements LeaseApi {
  readonly objects = new Map<string, StoredObject>();
  /** Awaited before each call, so that a test can interleave calls. */
  before: (call: string) => Promise<void> = () => Promise.resolve();
  /** Called on every change, before any other code sees it. */
  onChange: () => void = () => {};
  #version = 0;

  async find<T>(path: string, schema: AnswerSchema<T>): Promise<T | undefined> {
    await this.before("find");
    const found = this.objects.get(path);
    return found && await answer(found, schema);
  }

  async create<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    await this.before("create");
    const { metadata, ...rest } = object as StoredObject;
    const full = `${path}/${metadata.name}`;
    if (this.objects.has(full)) throw new BootstrapError("conflict/already-exists", path);
    return await this.#store(full, { ...rest, metadata: { ...metadata, uid: `uid-${++this.#version}` } }, schema);
  }

  async replace<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    await this.before("replace");
    const { metadata } = object as StoredObject;
    const current = this.objects.get(path)?.metadata;
    if (current === undefined) throw new BootstrapError("precondition/not-found", path);
    if (current.uid !== metadata.uid || current.resourceVersion !== metadata.resourceVersion) {
      throw new BootstrapError("conflict/changed", path);
    }
    return await this.#store(path, object as StoredObject, schema);
  }

  #store<T>(path: string, object: Omit<StoredObject, "metadata"> & { metadata: object }, schema: AnswerSchema<T>) {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
    this.objects.set(path, stored as StoredObject);
    this.onChange();
    return answer(stored, schema);
  }
}

async function answer<T>(object: unknown, schema: AnswerSchema<T>): Promise<T> {
  const result = await schema["~standard"].validate(structuredClone(object));
  if (result.issues !== undefined) throw new Error(result.issues[0]?.message);
  return result.value;
}

/** etcd as a list of members. */
export class MemoryEtcd {
  members: EtcdMember[] = [];
  /** IDs of voters that do not answer. */
  readonly silent = new Set<string>();
  #ids = 0;

  /** Starts with voters of these names. */
  constructor(...voters: readonly string[]) {
    for (const name of voters) this.add({ name, clientUrls: ["https://192.0.2.1:2379"] });
  }

  /** Adds a member: a voter that never started, unless `fields` say otherwise. */
  add(fields: Partial<EtcdMember>): EtcdMember {
    const number = ++this.#ids;
    const id = number.toString(16).padStart(16, "0");
    const peerUrls = [`https://192.0.2.${number}:2380`];
    const member = { id, name: "", peerUrls, clientUrls: [], isLearner: false, ...fields };
    this.members.push(member);
    return member;
  }

  /** Adds the learner that a node's kubeadm adds first. */
  addLearner({ address }: QueuedNode): EtcdMember {
    return this.add({ peerUrls: [`https://${address}:2380`], isLearner: true });
  }

  /** Makes the learner of a node a voter, if there is one. */
  promote({ nodeName, address }: QueuedNode): void {
    this.members = this.members.map((member) =>
      member.isLearner && member.peerUrls.includes(`https://${address}:2380`)
        ? { ...member, name: nodeName, isLearner: false }
        : member
    );
  }

  /** Removes a member. */
  remove(id: string): void {
    this.members = this.members.filter((member) => member.id !== id);
  }

  /** The state of etcd as a look shows it now. */
  health(): EtcdHealth {
    const voters = this.members.filter(({ id, name, isLearner }) => !isLearner && name !== "" && !this.silent.has(id));
    return { members: [...this.members], healthy: new Set(voters.map(({ id }) => id)), leaderless: false };
  }
}

/** A clock that is set by hand. Its sleeps end at once. */
export class TestClock implements Clock {
  /**
   * @param time Milliseconds since the start, shared by all clocks.
   * @param aheadMs How far this clock is ahead, milliseconds.
   */
  constructor(readonly time: { ms: number }, readonly aheadMs: number = 0) {}
  now = (): Date => new Date(START_MS + this.time.ms + this.aheadMs);
  monotonicMs = (): number => this.time.ms;
  sleep = (): Promise<void> => Promise.resolve();
}

/** A control plane that asks to join. */
export function queuedNode(number: number): QueuedNode {
  const identity = number.toString(16).padStart(64, "0");
  return { identity, nodeName: `cp-${number}`, address: `198.51.100.${number}` };
}

/** A cluster's queue with as many join services as a test wants. */
export class QueueWorld {
  readonly time = { ms: 0 };
  readonly leases = new MemoryLeases();
  readonly etcd = new MemoryEtcd("founder");
  /** The identity that is admitted under a name. */
  readonly admitted = new Map<string, string>();
  /** IDs of the members that a service removed. */
  readonly removed: string[] = [];

  /** A join service's queue. */
  queue(parts: Partial<ControlPlaneQueueParts> & { readonly aheadMs?: number } = {}): ControlPlaneQueue {
    const { aheadMs, ...rest } = parts;
    return new ControlPlaneQueue({
      api: this.leases,
      clock: new TestClock(this.time, aheadMs),
      etcd: () => Promise.resolve(this.etcd.health()),
      removeMember: (id) => {
        this.removed.push(id);
        this.etcd.remove(id);
        return Promise.resolve();
      },
      records: {
        byName: (nodeName) => {
          const identity = this.admitted.get(nodeName);
          const unsaid = { role: "control-plane", nodeKey: "", addresses: [], evidenceDigest: "" } as const;
          return Promise.resolve(identity === undefined ? undefined : { identity, nodeName, ...unsaid });
        },
      },
      ...rest,
    });
  }
}
