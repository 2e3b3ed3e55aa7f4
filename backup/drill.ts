/**
 * The drill of a restore: restores a backup into an etcd on loopback, reads the cluster back, and removes everything.
 *
 * @module
 */
import { join } from "node:path";
import { createFounderCertificate } from "../certificate/founder_certificate.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { EtcdChannel } from "../kubernetes/etcd_channel.ts";
import { textIn, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { writeFileAtomic } from "../platform/files.ts";
import { retry } from "../platform/retry.ts";
import { KVService, type RangeResponse } from "../proto/gen/etcd.ts";
import { SNAPSHOT_FILE, unpackBackup, type UnpackParts } from "./unpack.ts";

/** What {@linkcode drill} needs. */
export interface DrillParts extends Omit<UnpackParts, "now"> {
  readonly clock: Pick<Clock, "now" | "monotonicMs" | "sleep">;
  readonly commands: CommandRunner;
  /** The folder of the programs etcd and etcdutl. Default: they are found on the system's path. */
  readonly programs?: string;
  /** Is told of each step when it is done. */
  readonly onStep: (step: DrillStep) => void;
  readonly signal: AbortSignal;
}

/** A step, and how long it took. */
export interface DrillStep {
  readonly name: "open the backup" | "restore etcd's data" | "start etcd" | "read the cluster";
  readonly ms: number;
}

/** What was found in the restored etcd. */
export interface DrillResult {
  readonly clusterName: string;
  readonly createdAt: Date;
  readonly etcdVersion: string;
  /** The revision of the backup, and that of the restored store. No client has seen the second one, or a later one. */
  readonly backupRevision: bigint;
  readonly restoredRevision: bigint;
  /** The number of Kubernetes' objects. */
  readonly objects: bigint;
  /** The names of the Nodes, sorted. */
  readonly nodes: readonly string[];
  readonly steps: readonly DrillStep[];
}

/**
 * What restored revisions are raised by, so that no watch sees one that it has seen before. It stands for the changes
 * between the backup and the loss: at a thousand changes a second it lasts for eleven days.
 */
const REVISION_BUMP = 1_000_000_000n;

const SECRET_MODE = 0o600;
const RESTORE_DEADLINE_MS = 30 * 60_000;
const START_DEADLINE_MS = 5 * 60_000;
const CALL_DEADLINE_MS = 10_000;
const POLL = { firstMs: 100, factor: 1.5, longestMs: 1_000, jitter: 0 } as const;
/** etcd ends by itself at the latest then, should a drill hang. */
const LONGEST_RUN_MS = 60 * 60_000;
const REGISTRY = "/registry/";
const NODES = "/registry/minions/";

/**
 * Restores a backup into a temporary folder and reads it back. Nothing is left behind, and nothing but this process can
 * reach the etcd: both its ports are on loopback and want a client certificate that was made for it.
 *
 * @throws {BootstrapError} The errors of `unpackBackup()`; `system/command` if etcdutl or etcd is not there or fails;
 *   `timeout/etcd`; `refused/backup` if the restored store has no objects of Kubernetes, or revisions that could repeat.
 */
export async function drill(parts: DrillParts): Promise<DrillResult> {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-drill-" });
  try {
    return await drillIn(folder, parts);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function drillIn(folder: string, parts: DrillParts): Promise<DrillResult> {
  const { clock, commands, signal } = parts;
  const steps: DrillStep[] = [];
  const step = async <T>(name: DrillStep["name"], work: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    const start = clock.monotonicMs();
    const result = await work();
    const done = { name, ms: Math.round(clock.monotonicMs() - start) };
    steps.push(done);
    parts.onStep(done);
    return result;
  };
  const unpacked = join(folder, "backup");
  const { head, contents } = await step(
    "open the backup",
    () => unpackBackup({ ...parts, now: clock.now() }, unpacked),
  );
  const [peerPort, clientPort] = freePorts();
  const peer = `https://127.0.0.1:${peerPort}`;
  const data = join(folder, "etcd");
  const program = (name: string) => parts.programs === undefined ? name : join(parts.programs, name);
  await step("restore etcd's data", () =>
    runOrThrow(commands, [
      ...[program("etcdutl"), "snapshot", "restore", join(unpacked, SNAPSHOT_FILE)] as const,
      ...[`--data-dir=${data}`, "--name=drill", `--initial-cluster=drill=${peer}`],
      ...[`--initial-advertise-peer-urls=${peer}`, `--initial-cluster-token=drill-${crypto.randomUUID()}`],
      ...[`--bump-revision=${REVISION_BUMP}`, "--mark-compacted"],
    ], { deadlineMs: RESTORE_DEADLINE_MS, signal }));
  const credentials = await writeCredentials(folder);
  const channel = new EtcdChannel(
    { text: `127.0.0.1:${clientPort}`, host: "127.0.0.1", port: clientPort },
    { caPem: credentials.certificatePem, ...credentials },
  );
  await using running = startEtcd(commands, etcdCommand(program("etcd"), { folder, data, peer, clientPort }), signal);
  const registry = await step(
    "start etcd",
    () => running.until(() => range(channel, REGISTRY, 1n, running.signal), clock),
  );
  const found = await step("read the cluster", () => range(channel, NODES, 0n, running.signal));
  const restoredRevision = found.header?.revision ?? 0n;
  const backupRevision = contents.source.revision;
  if (registry.count === 0n || restoredRevision < backupRevision + REVISION_BUMP) {
    const seen = { objects: String(registry.count), revision: String(restoredRevision) };
    throw new BootstrapError("refused/backup", "The restored etcd does not have what the backup says", {
      details: seen,
    });
  }
  return {
    ...{ clusterName: head.clusterName, createdAt: head.createdAt, etcdVersion: contents.source.etcdVersion },
    ...{ backupRevision, restoredRevision, objects: registry.count, steps },
    nodes: found.kvs.map(({ key }) => (textIn(key) ?? "").slice(NODES.length)).toSorted(),
  };
}

function range(channel: EtcdChannel, prefix: string, limit: bigint, signal: AbortSignal): Promise<RangeResponse> {
  // The key behind all that begin with the prefix: "0" follows "/".
  const request = { key: utf8(prefix), rangeEnd: utf8(`${prefix.slice(0, -1)}0`), limit, keysOnly: true };
  return channel.call("Range", KVService.range, request, { deadline: Date.now() + CALL_DEADLINE_MS, signal });
}

/** An etcd that runs until it is stopped. */
interface RunningEtcd extends AsyncDisposable {
  /** Aborted when etcd has ended. */
  readonly signal: AbortSignal;
  /** Tries until `work` succeeds, for at most five minutes, and only while etcd runs. */
  until<T>(work: () => Promise<T>, clock: DrillParts["clock"]): Promise<T>;
}

function startEtcd(commands: CommandRunner, argv: readonly [string, ...string[]], signal: AbortSignal): RunningEtcd {
  const stopped = new AbortController();
  const ended = new AbortController();
  let last = "";
  const onLine = (line: string) => void (last = line.slice(0, 300));
  const bounds = { deadlineMs: LONGEST_RUN_MS, signal: AbortSignal.any([signal, stopped.signal]), onLine };
  const end = commands.run(argv, bounds).then(
    ({ code }) => new BootstrapError("system/command", `etcd ended with exit code ${code}: ${last}`),
    (error) => error,
  ).then((reason) => ended.abort(reason));
  return {
    signal: ended.signal,
    until: (work, clock) => {
      const deadline = clock.monotonicMs() + START_DEADLINE_MS;
      const isRetriable = ({ retriable }: BootstrapError) => retriable && clock.monotonicMs() < deadline;
      return retry(work, { clock, random: () => 0, backOff: POLL, isRetriable, signal: ended.signal });
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await end;
    },
  };
}

function etcdCommand(
  program: string,
  { folder, data, peer, clientPort }: {
    readonly folder: string;
    readonly data: string;
    readonly peer: string;
    readonly clientPort: number;
  },
): readonly [string, ...string[]] {
  const client = `https://127.0.0.1:${clientPort}`;
  const [certificate, key] = [join(folder, "etcd.crt"), join(folder, "etcd.key")];
  const tls = [`cert-file=${certificate}`, `key-file=${key}`, `trusted-ca-file=${certificate}`];
  return [
    ...[program, "--name=drill", `--data-dir=${data}`] as const,
    ...[`--listen-peer-urls=${peer}`, `--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...tls.flatMap((flag) => [`--${flag}`, `--peer-${flag}`]),
    ...["--client-cert-auth", "--peer-client-cert-auth", "--log-level=warn"],
  ];
}

/** A self-signed certificate for loopback is server's, client's and CA in one, as among founders. */
async function writeCredentials(folder: string): Promise<{ certificatePem: string; keyPem: string }> {
  const keys = await generateKeyPair("p-256");
  const certificatePem = writePem("CERTIFICATE", (await createFounderCertificate(keys, "127.0.0.1")).der);
  const keyPem = await privateKeyPem(keys);
  await writeFileAtomic(join(folder, "etcd.crt"), utf8(certificatePem), { mode: SECRET_MODE });
  await writeFileAtomic(join(folder, "etcd.key"), utf8(keyPem), { mode: SECRET_MODE });
  return { certificatePem, keyPem };
}

/** Two ports that are free now. etcd opens them a moment later; if another program was faster, the drill fails. */
function freePorts(): readonly [number, number] {
  using one = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return [one.addr.port, other.addr.port];
}
