/**
 * A client of the founders' etcd: one read of all keys, transactions, leases. It asks the member of this machine only.
 *
 * @module
 */
import { Metadata } from "@grpc/grpc-js";
import type { MethodDefinition } from "@grpc/grpc-js";
import { EtcdChannel, type EtcdCredentials, type EtcdEndpoint } from "../kubernetes/etcd_channel.ts";
import { copyOf, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import {
  type Compare,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
  KVService,
  LeaseService,
} from "../proto/gen/etcd.ts";

/** A key in etcd. */
export interface EtcdValue {
  readonly value: Uint8Array;
  /** The store's revision when the key was created. */
  readonly createRevision: bigint;
  /** The store's revision when the key was changed last. */
  readonly modRevision: bigint;
}

/** All keys at one moment. */
export interface EtcdSnapshot {
  readonly raftTerm: bigint;
  readonly values: ReadonlyMap<string, EtcdValue>;
}

/** A condition of a transaction. */
export type EtcdCondition =
  | { readonly key: string; readonly is: "there" | "absent" }
  | { readonly key: string; readonly createRevision: bigint }
  | { readonly key: string; readonly modRevision: bigint };

/** A change of a transaction. */
export interface EtcdPut {
  readonly key: string;
  readonly value: Uint8Array;
  /** The lease that the key hangs on. Default: none. */
  readonly lease?: bigint;
}

/** What the founding needs of etcd. */
export interface FounderStore {
  /** Reads all keys as a quorum has them now. */
  read(signal: AbortSignal): Promise<EtcdSnapshot>;
  /**
   * Changes keys if all conditions hold.
   *
   * @returns Whether they held. An error leaves open whether the change was made, or will be: read it back.
   */
  transact(conditions: readonly EtcdCondition[], put: EtcdPut, signal: AbortSignal): Promise<boolean>;
  /** Makes a lease, and returns its ID. */
  grant(ttlSeconds: number, signal: AbortSignal): Promise<bigint>;
  /** Renews a lease. Returns `false` if there is no such lease any more. */
  keepAlive(lease: bigint, signal: AbortSignal): Promise<boolean>;
  /** Ends a lease, and its keys with it. */
  revoke(lease: bigint, signal: AbortSignal): Promise<void>;
}

/** What {@linkcode EtcdClient} needs. */
export interface EtcdClientParts {
  /** The client port of this machine's member; `undefined` while it does not run. */
  readonly endpoint: () => EtcdEndpoint | undefined;
  readonly credentials: EtcdCredentials;
  /** The time limit of a call, milliseconds. */
  readonly deadlineMs: number;
}

/** All keys lie below it. */
const PREFIX = "founding/";
/** The first key behind those of the prefix: `0` follows `/`. */
const END = utf8("founding0");

/** Calls etcd. Each call has a deadline, and throws the errors of `EtcdChannel.call()`. */
export class EtcdClient implements FounderStore {
  readonly #parts: EtcdClientParts;

  /** Sends nothing yet. */
  constructor(parts: EtcdClientParts) {
    this.#parts = parts;
  }

  /** Reads all keys, linearizably. */
  async read(signal: AbortSignal): Promise<EtcdSnapshot> {
    const range = { key: utf8(PREFIX), rangeEnd: END, limit: 0n, keysOnly: false };
    const { header, kvs } = await this.#call("Range", KVService.range, range, signal);
    const values = kvs.map(({ key, value, createRevision, modRevision }) =>
      [fromUtf8(key, "key of etcd").slice(PREFIX.length), { value, createRevision, modRevision }] as const
    );
    return { raftTerm: header?.raftTerm ?? 0n, values: new Map(values) };
  }

  /** Puts one key if all conditions hold. Returns whether they did. */
  async transact(conditions: readonly EtcdCondition[], put: EtcdPut, signal: AbortSignal): Promise<boolean> {
    const { key, value, lease = 0n } = put;
    const request = {
      compare: conditions.map(compareOf),
      success: [{
        request: { $case: "requestPut" as const, requestPut: { key: keyOf(key), value: copyOf(value), lease } },
      }],
    };
    return (await this.#call("Txn", KVService.txn, request, signal)).succeeded;
  }

  /** Makes a lease. */
  async grant(ttlSeconds: number, signal: AbortSignal): Promise<bigint> {
    const request = { TTL: BigInt(ttlSeconds), ID: 0n };
    return (await this.#call("LeaseGrant", LeaseService.leaseGrant, request, signal)).ID;
  }

  /** Renews a lease. Returns `false` if it has ended. */
  async keepAlive(lease: bigint, signal: AbortSignal): Promise<boolean> {
    return (await this.#call("LeaseKeepAlive", LeaseService.leaseKeepAlive, { ID: lease }, signal)).TTL > 0n;
  }

  /** Ends a lease, and removes its keys. */
  async revoke(lease: bigint, signal: AbortSignal): Promise<void> {
    await this.#call("LeaseRevoke", LeaseService.leaseRevoke, { ID: lease }, signal);
  }

  async #call<Request, Response>(
    name: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const { endpoint, credentials, deadlineMs } = this.#parts;
    const member = endpoint();
    if (member === undefined) throw new BootstrapError("unavailable/etcd", "This founder's etcd does not run");
    // A member without a leader refuses at once (etcd's client package, `WithRequireLeader`).
    const metadata = new Metadata();
    metadata.set("hasleader", "true");
    const bounds = { deadline: Date.now() + deadlineMs, signal };
    return await new EtcdChannel(member, credentials).call(name, method, request, bounds, metadata);
  }
}

function keyOf(key: string): Uint8Array<ArrayBuffer> {
  return utf8(`${PREFIX}${key}`);
}

function compareOf(condition: EtcdCondition): Compare {
  const key = keyOf(condition.key);
  if ("is" in condition) {
    const result = condition.is === "there" ? Result.GREATER : Result.EQUAL;
    return { key, result, target: Target.VERSION, targetUnion: { $case: "version", version: 0n } };
  }
  if ("createRevision" in condition) {
    const { createRevision } = condition;
    return {
      key,
      result: Result.EQUAL,
      target: Target.CREATE,
      targetUnion: { $case: "createRevision", createRevision },
    };
  }
  const { modRevision } = condition;
  return { key, result: Result.EQUAL, target: Target.MOD, targetUnion: { $case: "modRevision", modRevision } };
}
