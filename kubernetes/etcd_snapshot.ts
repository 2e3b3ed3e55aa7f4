/**
 * Snapshots of an etcd member through its maintenance API. They need no quorum, only the member itself.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MaintenanceService } from "../proto/gen/etcd.ts";
import type { CallBounds, EtcdChannel } from "./etcd_channel.ts";

/** A snapshot that is being received. */
export interface IncomingSnapshot {
  /** etcd's version, such as "3.6.8". */
  readonly etcdVersion: string;
  /** The store's revision just before the snapshot was begun: the snapshot has it, and perhaps later ones. */
  readonly revision: bigint;
  /** The snapshot's length: the database and etcd's SHA-256 over it, which are the last 32 bytes. */
  readonly bytes: number;
  /** The content. It can be read once. It throws `unavailable/etcd` if the member sends less or more than it said. */
  readonly content: AsyncGenerator<Bytes, void>;
}

/**
 * The length of the SHA-256 over the database, which etcd sends behind it and does not count in `remaining_bytes`
 * (`server/etcdserver/api/v3rpc/maintenance.go`, 3.6).
 */
export const SNAPSHOT_HASH_BYTES = 32;

/**
 * Begins a snapshot of one member.
 *
 * @throws {BootstrapError} As {@linkcode EtcdChannel.call}; `unavailable/etcd` if the member sends nothing.
 */
export async function beginSnapshot(member: EtcdChannel, bounds: CallBounds): Promise<IncomingSnapshot> {
  const { header, version } = await member.call("Status", MaintenanceService.status, {}, bounds);
  const answers = member.stream("Snapshot", MaintenanceService.snapshot, {}, bounds);
  const first = await answers.next();
  if (first.done) throw cut(0, 0);
  const bytes = first.value.blob.length + Number(first.value.remainingBytes) + SNAPSHOT_HASH_BYTES;
  const content = async function* (): AsyncGenerator<Bytes, void> {
    yield copyOf(first.value.blob);
    let received = first.value.blob.length;
    for await (const { blob } of answers) {
      received += blob.length;
      if (received > bytes) throw cut(received, bytes);
      yield copyOf(blob);
    }
    if (received !== bytes) throw cut(received, bytes);
  };
  return { etcdVersion: version, revision: header?.revision ?? 0n, bytes, content: content() };
}

function cut(received: number, announced: number): BootstrapError {
  return new BootstrapError("unavailable/etcd", `etcd sent ${received} bytes of a snapshot of ${announced}`);
}
