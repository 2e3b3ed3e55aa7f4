/**
 * This node's member of etcd, and its removal.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import type { EtcdCredentials } from "../kubernetes/etcd.ts";
import type { EtcdHealth, EtcdMember } from "../kubernetes/etcd_health.ts";
import { checkCanRemove } from "../kubernetes/etcd_health.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError, optionsOf } from "../platform/errors.ts";
import { readFile, readFileIfExists } from "../platform/files.ts";
import type { BackOff } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";
import { readYaml } from "../platform/yaml.ts";

/** The operations on etcd that a leaving member needs. */
export interface LeavingEtcd extends Disposable {
  /** Returns the members, and which of them are healthy. */
  health(): Promise<EtcdHealth>;
  /** Removes a member; returns `false` if it was already gone. */
  remove(id: string): Promise<boolean>;
}

/** Connects to etcd through any of the endpoints (`https://host:port`) that answers. */
export type OpenEtcd = (endpoints: readonly [string, ...string[]], credentials: EtcdCredentials) => LeavingEtcd;

/** The addresses in the flags of this node's etcd. */
export interface OwnMember {
  /** The URL at which other members reach this one. It is unique among the members. */
  readonly peerUrl: string;
  /** The URLs at which clients reach this member and the members that it knew when it joined. */
  readonly endpoints: readonly [string, ...string[]];
}

const MAXIMUM_BYTES = 1 << 16;
const CLIENT_PORT = "2379";

const podSchema = v.object({
  spec: v.object({ containers: v.pipe(v.array(v.object({ command: v.array(v.string()) })), v.minLength(1)) }),
});

/**
 * Reads this node's member from the static Pod of etcd.
 *
 * Returns `undefined` if there is no manifest: either this node is not a member of etcd, or kubeadm was killed after it
 * added a learner and before it wrote the manifest. The join services remove such a learner when its turn is over.
 *
 * @throws {BootstrapError} `malformed/etcd-manifest`, `system/file`.
 */
export async function readOwnMember(kubernetesFolder: string): Promise<OwnMember | undefined> {
  const path = join(kubernetesFolder, "manifests", "etcd.yaml");
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseOwnMember(bytes, path);
}

/** Like {@linkcode readOwnMember}, for the bytes of the manifest. `path` names the manifest in errors. */
export function parseOwnMember(bytes: Uint8Array, path: string): OwnMember {
  try {
    const { spec } = v.parse(podSchema, readYaml(fromUtf8(bytes, path)));
    const command = spec.containers[0]?.command ?? [];
    const flag = (name: string) => command.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? "";
    const peerUrl = flag("initial-advertise-peer-urls");
    const clientUrl = flag("advertise-client-urls");
    const others = flag("initial-cluster").split(",").map((entry) => entry.slice(entry.indexOf("=") + 1));
    if (peerUrl === "" || clientUrl === "") throw new TypeError("it names no member");
    return { peerUrl, endpoints: [clientUrl, ...others.map(clientUrlOf).filter((url) => url !== clientUrl)] };
  } catch (cause) {
    throw new BootstrapError("malformed/etcd-manifest", `Cannot read the manifest of etcd, ${path}`, {
      cause,
      next: "With --force the reset continues without leaving etcd",
      details: { path },
    });
  }
}

/**
 * Reads the credentials with which this machine calls etcd.
 *
 * @throws {BootstrapError} `system/file`, `malformed/…`.
 */
export async function readOwnCredentials(kubernetesFolder: string): Promise<EtcdCredentials> {
  const pem = async (name: string) => {
    const path = join(kubernetesFolder, "pki", name);
    return fromUtf8(await readFile(path, MAXIMUM_BYTES), path);
  };
  return {
    caPem: await pem("etcd/ca.crt"),
    certificatePem: await pem("etcd/healthcheck-client.crt"),
    keyPem: await pem("etcd/healthcheck-client.key"),
  };
}

/** Relies on kubeadm, which gives every member the same ports. */
function clientUrlOf(peerUrl: string): string {
  const url = new URL(peerUrl);
  url.port = CLIENT_PORT;
  return url.origin;
}

/** This node's member in etcd. */
export class OwnEtcd {
  readonly #own: OwnMember;
  readonly #etcd: LeavingEtcd;

  private constructor(own: OwnMember, etcd: LeavingEtcd) {
    this.#own = own;
    this.#etcd = etcd;
  }

  /**
   * Connects to etcd. `peers` are further members' client URLs, known from elsewhere. Returns `undefined` if this node
   * is not a member.
   */
  static async open(
    kubernetesFolder: string,
    peers: readonly string[],
    openEtcd: OpenEtcd,
  ): Promise<OwnEtcd | undefined> {
    const own = await readOwnMember(kubernetesFolder);
    if (own === undefined) return undefined;
    const credentials = await readOwnCredentials(kubernetesFolder);
    const others = peers.filter((peer) => !own.endpoints.includes(peer));
    return new OwnEtcd(own, openEtcd([...own.endpoints, ...others], credentials));
  }

  /**
   * Checks that the member may leave.
   *
   * @returns The member, and the client URLs of the others; `undefined` if the member has already left.
   * @throws {BootstrapError} `precondition/etcd-quorum`, also for the last voting member; `unavailable/etcd…`.
   */
  async check(): Promise<{ readonly member: EtcdMember; readonly peers: readonly string[] } | undefined> {
    const found = await this.find();
    if (found !== undefined) checkCanRemove(found.health, found.member.id);
    return found;
  }

  /** Like {@linkcode check}, but without the check that the member may leave. */
  async find(): Promise<
    { readonly health: EtcdHealth; readonly member: EtcdMember; readonly peers: readonly string[] } | undefined
  > {
    const health = await this.#etcd.health();
    const member = health.members.find(({ peerUrls }) => peerUrls.includes(this.#own.peerUrl));
    if (member === undefined) {
      if (!health.leaderless) return undefined;
      throw new BootstrapError("unavailable/etcd", "etcd has no leader and cannot say whether this node is a member");
    }
    const others = health.members.filter(({ id }) => id !== member.id);
    return { health, member, peers: others.flatMap(({ clientUrls }) => clientUrls) };
  }

  /** Removes a member. */
  remove({ id }: EtcdMember): Promise<boolean> {
    return this.#etcd.remove(id);
  }

  [Symbol.dispose](): void {
    this.#etcd[Symbol.dispose]();
  }
}

/** What {@linkcode leaveEtcd} needs. */
export interface LeaveParts {
  /** The folder of Kubernetes' configuration and keys, `/etc/kubernetes`. */
  readonly kubernetesFolder: string;
  /** Client URLs of further members, known from elsewhere. */
  readonly peers: readonly string[];
  readonly openEtcd: OpenEtcd;
  /** Whether to continue if the member may not leave, or cannot. */
  readonly force: boolean;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** Stores the client URLs of the other members, before this member leaves and its etcd ends. */
  readonly remember: (peers: readonly string[]) => Promise<void>;
}

/**
 * How long leaving is retried. etcd removes a member only when its members have been connected for 5 s
 * (`HealthInterval` in `server/etcdserver/server.go`, etcd 3.6), and elections take seconds on a slow machine.
 */
const PATIENCE_MS = 60_000;
const PATIENCE_WITH_FORCE_MS = 10_000;
/** No jitter is needed: each node leaves on its own, not in step with others. */
const BACK_OFF: BackOff = Object.freeze({ firstMs: 1_000, factor: 1, longestMs: 1_000, jitter: 0 });
const NO_JITTER = () => 0;

/**
 * Removes this node from etcd.
 *
 * @returns The outcome, and with `force` a warning if the node did not leave.
 * @throws {BootstrapError} As {@linkcode OwnEtcd.check}. With `force` it throws nothing.
 */
export async function leaveEtcd(parts: LeaveParts): Promise<{ readonly outcome: string; readonly warning?: string }> {
  const { clock, force } = parts;
  const end = clock.monotonicMs() + (force ? PATIENCE_WITH_FORCE_MS : PATIENCE_MS);
  const seen: SeenByTries = { peers: parts.peers };
  const isRetriable = ({ retriable }: BootstrapError) => retriable && clock.monotonicMs() < end;
  try {
    return {
      outcome: await retry(() => tryToLeave(parts, seen), { clock, random: NO_JITTER, backOff: BACK_OFF, isRetriable }),
    };
  } catch (cause) {
    const error = asBootstrapError(cause);
    if (!force) throw withForce(error);
    return { outcome: "skipped by --force", warning: `This node did not leave etcd: ${error.message}` };
  }
}

/** Facts that one try passes to the next. */
interface SeenByTries {
  /** Client URLs of other members. This node's etcd ends when its member is removed; later tries need the others. */
  peers: readonly string[];
  /** The ID of the member whose removal was requested. The answer can be lost even though the member was removed. */
  askedToRemove?: string;
}

async function tryToLeave(
  { kubernetesFolder, openEtcd, force, remember }: LeaveParts,
  seen: SeenByTries,
): Promise<string> {
  using etcd = await OwnEtcd.open(kubernetesFolder, seen.peers, openEtcd);
  if (etcd === undefined) return "this node is no member";
  const found = await (force ? etcd.find() : etcd.check());
  if (found === undefined) {
    return seen.askedToRemove === undefined ? "it had left before" : removedText(seen.askedToRemove);
  }
  const { member, peers } = found;
  if (peers.length > 0) {
    seen.peers = [...new Set([...peers, ...seen.peers])];
    await remember(peers);
  }
  seen.askedToRemove = member.id;
  await etcd.remove(member);
  return removedText(member.id);
}

function removedText(id: string): string {
  return `removed the member ${id}`;
}

/** Returns the same error with a next action for the person who runs the reset. */
export function withForce(error: BootstrapError): BootstrapError {
  return new BootstrapError(error.code, error.message, {
    ...optionsOf(error),
    next: `${error.next === "" ? "Find out why etcd does not answer" : error.next}. With --force the reset continues ` +
      "without a clean end in etcd; then remove the member with `bootstrapper node remove`",
  });
}
