/**
 * The record on disk that a bootstrap has succeeded, and whether it still holds.
 *
 * The record alone proves little: the disk may be in another machine, and `kubeadm reset` takes a node out of its
 * cluster without asking this program.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { clusterIdOf, clusterIdText } from "../certificate/cluster_id.ts";
import { readPem } from "../certificate/pem.ts";
import { nodeNameOf } from "../certificate/subjects.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { LockRecord } from "../nodelock/record.ts";
import { equalBytes, fromBase64, fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import { present } from "../platform/present.ts";
import type { NodePaths } from "./paths.ts";

/** What is recorded of a member. Version 1 recorded only the time. */
export interface Membership {
  /** When the bootstrap succeeded, ISO 8601. */
  readonly since: string;
  readonly nodeName?: string;
  readonly role?: string;
  /** The identity by which join services know the machine, where its hardware has one that lasts. */
  readonly identity?: string;
  /** The UUID that the firmware gives the machine. */
  readonly machineId?: string;
}

/** What a machine is now, as far as it is known. */
export interface MachineIdentity {
  /** The name in the node's configuration; absent if it is the machine's host name, which may change. */
  readonly configuredName?: string;
  readonly identity?: string;
  readonly machineId?: string;
}

const VERSION = 2;
const MAXIMUM_BYTES = 1 << 14;
const FILE_MODE = 0o644;
/** Files of the kubelet, as `kubernetes/kubelet_credentials.ts` writes them. */
const KUBECONFIG = "kubelet.conf";
const CLIENT_CERTIFICATE = "pki/bootstrapper-client.pem";
const MAXIMUM_FILE_BYTES = 1 << 18;

const time = v.pipe(v.string(), v.isoTimestamp("is not a time"));
const schema = v.strictObject({
  version: v.literal(VERSION),
  since: time,
  nodeName: v.exactOptional(v.string()),
  role: v.exactOptional(v.string()),
  identity: v.exactOptional(v.string()),
  machineId: v.exactOptional(v.string()),
});

/** Whether this node's bootstrap has succeeded. */
export function isMember(stateFolder: string): Promise<boolean> {
  return exists(markerPath(stateFolder));
}

/**
 * Reads the record; returns `undefined` if this node's bootstrap has not succeeded.
 *
 * @throws {BootstrapError} `malformed/membership`, `system/file`.
 */
export async function readMembership(stateFolder: string): Promise<Membership | undefined> {
  const path = markerPath(stateFolder);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseMembership(bytes, path);
}

/** Parses the bytes of a record; see {@linkcode readMembership}. `what` names the file in errors. */
export function parseMembership(bytes: Uint8Array, what: string): Membership {
  const error = (reason: string, key: string, cause?: unknown) =>
    new BootstrapError("malformed/membership", `Cannot read ${what}: ${reason}`, {
      cause,
      next: `Remove ${what}, and start the bootstrapper: it finishes the node's join or init again`,
      details: { path: what, key },
    });
  // Version 1 was a line with the time.
  const isTime = bytes[0] !== undefined && bytes[0] >= 0x30 && bytes[0] <= 0x39;
  if (isTime) {
    const checked = v.safeParse(time, textOf(bytes).trimEnd());
    if (!checked.success) throw error("it is not a time", "");
    return { since: checked.output };
  }
  const { version: _, ...membership } = readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_BYTES,
    newest: VERSION,
    error,
  });
  return membership;
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes, "time");
  } catch {
    return "";
  }
}

/**
 * Records that this node is a member of its cluster. What is recorded already stays as it is, above all the time. The
 * caller has checked that the record still holds.
 *
 * @throws {BootstrapError} As {@linkcode readMembership}.
 */
export async function recordMembership(
  stateFolder: string,
  clock: Pick<Clock, "now">,
  facts: Omit<Membership, "since"> = {},
): Promise<Membership> {
  const before = await readMembership(stateFolder);
  // A host may give its machine another UUID; the machine is known by its hardware's identity then.
  const machineId = present("machineId", facts.machineId ?? before?.machineId);
  const membership: Membership = { since: clock.now().toISOString(), ...facts, ...before, ...machineId };
  if (JSON.stringify(membership) !== JSON.stringify({ ...membership, ...before }) || isLess(before, membership)) {
    const document: v.InferInput<typeof schema> = { version: VERSION, ...membership };
    await writeFileAtomic(markerPath(stateFolder), utf8(`${JSON.stringify(document)}\n`), { mode: FILE_MODE });
  }
  return membership;
}

function isLess(before: Membership | undefined, after: Membership): boolean {
  return before === undefined || Object.keys(before).length < Object.keys(after).length;
}

/**
 * Checks that a node which was recorded as a member is still one: on the same machine, under the same name, and with a
 * kubelet that belongs to the cluster of the lock. It asks nothing over the network.
 *
 * @throws {BootstrapError} `precondition/membership`, which says what differs; `system/file`.
 */
export async function checkMembership(
  paths: Pick<NodePaths, "kubernetes" | "kubelet" | "state">,
  membership: Membership,
  lock: Pick<LockRecord, "clusterId">,
  machine: MachineIdentity,
): Promise<void> {
  const { nodeName, identity, machineId } = membership;
  const isKnown = identity !== undefined && identity === machine.identity;
  for (
    const [what, expected, seen] of [
      ["the machine's identity", identity, machine.identity],
      ["the UUID of the machine's firmware", isKnown ? undefined : machineId, machine.machineId],
    ] as const
  ) {
    if (expected === undefined || seen === undefined || expected === seen) continue;
    throw broken(`this disk is a member's, and is in another machine: ${what} differs`, expected, seen, {
      next: "Give a copy of a disk no member's state: run `bootstrapper reset --force` on the copy. If this is the " +
        `same machine after a repair, remove ${markerPath(paths.state)}, and start the bootstrapper again`,
    });
  }
  const { configuredName } = machine;
  if (nodeName !== undefined && configuredName !== undefined && nodeName !== configuredName) {
    throw broken("the configuration names another node than the one that became a member", nodeName, configuredName, {
      next: "Set node.name to the name with which this node became a member, or run `bootstrapper reset`",
    });
  }
  await checkKubelet(paths, lock, nodeName ?? configuredName);
}

async function checkKubelet(
  paths: Pick<NodePaths, "kubernetes" | "kubelet">,
  { clusterId }: Pick<LockRecord, "clusterId">,
  nodeName: string | undefined,
): Promise<void> {
  const path = join(paths.kubernetes, KUBECONFIG);
  const next = "If `kubeadm reset` was run, run `bootstrapper reset` too, and start the bootstrapper: the node joins " +
    "anew. If files were lost, restore them from a backup";
  if (await unlessForbidden(exists(path)) === false) {
    throw broken("the kubelet has no kubeconfig any more", path, "no such file", { next });
  }
  const text = await textForRoot(path);
  if (text !== undefined) {
    const clusters = await Promise.all(pemBlocks(await caOf(text, path)).map((pem) => clusterOf(pem, path)));
    if (!clusters.some((id) => id !== undefined && equalBytes(id, clusterId))) {
      const seen = clusters.map((id) => id === undefined ? "an unreadable CA" : clusterIdText(id)).join(" ");
      throw broken("the kubelet belongs to another cluster than the lock", clusterIdText(clusterId), seen || "no CA", {
        next,
      });
    }
  }
  const [pem] = pemBlocks(await textForRoot(join(paths.kubelet, CLIENT_CERTIFICATE)) ?? "");
  const name = pem === undefined ? undefined : nodeOf(pem);
  if (nodeName !== undefined && name !== undefined && name !== nodeName) {
    throw broken("the kubelet's certificate is another node's", nodeName, name, { next });
  }
}

/** Returns a file's text; `undefined` if there is none, or if only root may read it: nothing is known to be wrong. */
async function textForRoot(path: string): Promise<string | undefined> {
  const bytes = await unlessForbidden(readFileIfExists(path, MAXIMUM_FILE_BYTES));
  return bytes === undefined ? undefined : textOf(bytes);
}

/** Returns what is found out; `undefined` if this process may not know it. */
async function unlessForbidden<T>(finding: Promise<T>): Promise<T | undefined> {
  try {
    return await finding;
  } catch (error) {
    if (error instanceof BootstrapError && error.cause instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}

/**
 * Returns the CA of a kubeconfig with one cluster, as this program and kubeadm write the kubelet's. `status` must not
 * load a reader of YAML, which takes more rights than it keeps.
 */
async function caOf(kubeconfig: string, path: string): Promise<string> {
  const [, data] = /^\s*certificate-authority-data:\s*"?([A-Za-z0-9+/=]+)"?\s*$/m.exec(kubeconfig) ?? [];
  if (data !== undefined) {
    try {
      return textOf(fromBase64(data, "certificate-authority-data"));
    } catch {
      return "";
    }
  }
  const [, file] = /^\s*certificate-authority:\s*"?([^\s"]+)"?\s*$/m.exec(kubeconfig) ?? [];
  return file === undefined ? "" : await textForRoot(resolve(dirname(path), file)) ?? "";
}

function nodeOf(pem: string): string | undefined {
  try {
    return nodeNameOf(readCertificate(readPem(pem, "CERTIFICATE", "certificate"), "certificate").subject.attributes);
  } catch {
    return undefined;
  }
}

function pemBlocks(text: string): readonly string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

async function clusterOf(pem: string, path: string): Promise<Uint8Array | undefined> {
  try {
    return await clusterIdOf(readCertificate(readPem(pem, "CERTIFICATE", path), path));
  } catch {
    return undefined;
  }
}

/** The error that a member has no lock any more. */
export function lockGone(): BootstrapError {
  return broken("its node lock is gone", "a lock", "none", {
    next: "Restore node.lock from a backup, or run `bootstrapper reset`",
  });
}

function broken(
  reason: string,
  expected: string,
  seen: string,
  options: { readonly next: string; readonly cause?: unknown },
): BootstrapError {
  return new BootstrapError("precondition/membership", `This node was a member of its cluster, but ${reason}`, {
    ...options,
    details: { expected, seen },
  });
}

function markerPath(stateFolder: string): string {
  return join(stateFolder, "member");
}
