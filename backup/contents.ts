/**
 * What a backup has besides etcd's snapshot: the keys and files of a control plane, and what the snapshot is of.
 *
 * @module
 */
import * as v from "valibot";
import { readPolicy } from "../attestation/policy/policy.ts";
import { checkCaCertificate } from "../certificate/chain.ts";
import { readPem } from "../certificate/pem.ts";
import { MAXIMUM_KEY_PEM_BYTES } from "../kubernetes/cluster_keys.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import { ByteWriter } from "../platform/byte_writer.ts";
import type { Bytes } from "../platform/bytes.ts";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { present } from "../platform/present.ts";
import type { ControlPlaneKit } from "../protocol/control_plane_kit.ts";
import {
  checkControlPlaneKit,
  decodeControlPlaneKit,
  encodeControlPlaneKit,
  MAXIMUM_KIT_BYTES,
} from "../protocol/control_plane_kit.ts";

/** What the snapshot is of. */
export interface SnapshotSource {
  /** The version of the program that made the backup. */
  readonly program: string;
  /** etcd's version, such as "3.6.8". */
  readonly etcdVersion: string;
  /** The member's peer URL, which is unique in its cluster. */
  readonly peerUrl: string;
  /** A revision that the snapshot has. */
  readonly revision: bigint;
  /** The length of the snapshot. */
  readonly bytes: number;
}

/** What a backup has besides the snapshot. */
export interface BackupContents {
  readonly source: SnapshotSource;
  /** The certificate of the cluster's CA, PEM. */
  readonly caCertificatePem: string;
  readonly kit: ControlPlaneKit;
  /** Files of the control plane by their names, such as `join-service/state.json`. */
  readonly files: ReadonlyMap<string, Bytes>;
  /** S_disk, from which the keys of state disks are derived, 32 bytes; only of clusters that have one. */
  readonly diskSecret?: Bytes;
}

/** The largest encoding. */
export const MAXIMUM_CONTENTS_BYTES = 16 << 20;

const MAXIMUM_JSON_BYTES = 4096;
const MAXIMUM_FILES = 16;
const MAXIMUM_NAME_BYTES = 64;
const MAXIMUM_FILE_BYTES = 2 << 20;
const DISK_SECRET_BYTES = 32;
/** No name leads out of a folder, or to the keys, which are checked. */
const FILE_NAME = /^(?:join-service|join-signer|kubernetes)\/[a-z][a-z.-]{0,31}$/;

const sourceSchema = v.strictObject({
  program: v.pipe(v.string(), v.maxLength(64)),
  etcdVersion: v.pipe(v.string(), v.regex(/^\d{1,3}\.\d{1,3}\.\d{1,3}[0-9A-Za-z.+-]{0,32}$/, "must be a version")),
  peerUrl: v.pipe(v.string(), v.regex(/^https:\/\/[0-9A-Za-z.:[\]-]{1,255}$/, "must be an https URL")),
  revision: v.pipe(v.string(), v.regex(/^[0-9]{1,19}$/, "must be a number")),
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});

/** Encodes the contents. The bytes are secret. */
export function encodeContents({ source, caCertificatePem, kit, files, diskSecret }: BackupContents): Bytes {
  const json: v.InferInput<typeof sourceSchema> = { ...source, revision: String(source.revision) };
  const writer = new ByteWriter("big-endian")
    .sized32(utf8(JSON.stringify(json)))
    .sized32(utf8(caCertificatePem))
    .sized32(encodeControlPlaneKit(kit))
    .u16(files.size);
  for (const [name, bytes] of files) writer.sized16(utf8(name)).sized32(bytes);
  return writer.sized16(diskSecret ?? new Uint8Array()).done();
}

/**
 * Decodes the contents. {@linkcode checkContents} checks that they belong together.
 *
 * @throws {BootstrapError} `malformed/backup`, `malformed/sealed-kit`, `malformed/utf8`.
 */
export function decodeContents(bytes: Uint8Array): BackupContents {
  const reader = new ByteReader(bytes, "the contents of the backup", { order: "big-endian", error: malformed });
  const source = readJson(reader.sized32(MAXIMUM_JSON_BYTES, "source"), {
    schema: sourceSchema,
    maximumBytes: MAXIMUM_JSON_BYTES,
    error: (reason, key) => reader.error(key === "" ? reason : `"${key}": ${reason}`),
  });
  const caCertificatePem = fromUtf8(reader.sized32(MAXIMUM_KEY_PEM_BYTES, "CA certificate"), "CA certificate");
  const encodedKit = reader.sized32(MAXIMUM_KIT_BYTES, "kit");
  const kit = decodeControlPlaneKit(encodedKit);
  encodedKit.fill(0);
  const files = readFiles(reader);
  const diskSecret = reader.sized16(DISK_SECRET_BYTES, "disk secret");
  if (diskSecret.length !== 0 && diskSecret.length !== DISK_SECRET_BYTES) {
    throw reader.error(`"disk secret" must have ${DISK_SECRET_BYTES} bytes: it has ${diskSecret.length}`);
  }
  reader.end();
  return {
    source: { ...source, revision: BigInt(source.revision) },
    caCertificatePem,
    kit,
    files,
    ...present("diskSecret", diskSecret.length === 0 ? undefined : diskSecret),
  };
}

/**
 * Checks that the contents are a control plane's of exactly one cluster.
 *
 * @param clusterId From the head of the backup.
 * @throws {BootstrapError} `refused/…` of the CA's certificate, `refused/sealed-kit` with `field`.
 */
export async function checkContents(contents: BackupContents, clusterId: Bytes, now: Date): Promise<void> {
  const what = "the CA certificate of the backup";
  const ca = await checkCaCertificate(readPem(contents.caCertificatePem, "CERTIFICATE", what), clusterId);
  await checkControlPlaneKit(contents.kit, ca, now, (document, policy) => void readPolicy(document, policy));
}

function readFiles(reader: ByteReader): ReadonlyMap<string, Bytes> {
  const count = reader.u16("number of files");
  if (count > MAXIMUM_FILES) throw reader.error(`there are ${count} files, and at most ${MAXIMUM_FILES} are expected`);
  const files = new Map<string, Bytes>();
  for (let index = 0; index < count; index++) {
    const name = fromUtf8(reader.sized16(MAXIMUM_NAME_BYTES, "name of a file"), "name of a file");
    if (!FILE_NAME.test(name)) throw reader.error(`"name of a file" ${index + 1} is none that a backup has`);
    if (files.has(name)) throw reader.error(`the file ${name} is there twice`);
    files.set(name, reader.sized32(MAXIMUM_FILE_BYTES, name));
  }
  return files;
}

function malformed(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/backup", `Cannot read ${what}: ${reason}`);
}
