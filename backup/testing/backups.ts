/**
 * Backups for tests, with the keys of a new cluster. The content of the snapshot is any bytes with their hash, as etcd
 * sends them.
 *
 * @module
 */
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import { writePem } from "../../certificate/pem.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { concat, copyOf, sha256, utf8 } from "../../platform/bytes.ts";
import { newKit } from "../../protocol/testing/kit.ts";
import type { BackupSubject } from "../backup_head.ts";
import type { BackupContents } from "../contents.ts";

/** What a backup is made of. */
export interface BackupIngredients {
  readonly subject: BackupSubject;
  readonly contents: BackupContents;
  /** A database and its hash. */
  readonly snapshot: Bytes;
}

/** Makes the ingredients of a backup of a new cluster, whose database has so many bytes. */
export async function newBackup(databaseBytes = 3_000_000, createdAt = new Date()): Promise<BackupIngredients> {
  const { ca, kit } = await newKit();
  const database = new Uint8Array(databaseBytes).map((_, index) => (index * 31 + (index >> 8)) & 0xff);
  const snapshot = concat(database, await sha256(database));
  return {
    subject: { clusterId: await clusterIdOf(ca.certificate), clusterName: "prod", createdAt },
    contents: {
      source: {
        ...{ program: "0.1.0", etcdVersion: "3.6.8", peerUrl: "https://10.0.0.1:2380" },
        ...{ revision: 4711n, bytes: snapshot.length },
      },
      caCertificatePem: writePem("CERTIFICATE", ca.certificate.der),
      kit,
      files: new Map([["join-service/state.json", utf8("{}")], ["join-signer/policy.json", utf8("{}")]]),
    },
    snapshot,
  };
}

/** Copies of contents, as writing and reading a backup overwrite its keys. */
export function copiedContents(contents: BackupContents): BackupContents {
  const keys = Object.fromEntries(Object.entries(contents.kit.keys).map(([name, bytes]) => [name, copyOf(bytes)]));
  return { ...contents, kit: { ...contents.kit, keys: { ...contents.kit.keys, ...keys } } };
}

/** Yields bytes in pieces of 32 KiB, as etcd sends a snapshot. */
export async function* inPieces(bytes: Bytes, pieceBytes = 1 << 15): AsyncGenerator<Bytes, void> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    yield await Promise.resolve(bytes.slice(start, start + pieceBytes));
  }
}
