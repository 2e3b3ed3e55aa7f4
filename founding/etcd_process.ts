/**
 * This founder's member of the founders' etcd, as a process that is started again whenever it ends.
 *
 * @module
 */
import { isIP } from "node:net";
import { join } from "node:path";
import { writePem } from "../certificate/pem.ts";
import type { EtcdEndpoint } from "../kubernetes/etcd_channel.ts";
import { hex, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { createFileExclusive, ensureFolder, exists, syncFile, writeFileAtomic } from "../platform/files.ts";
import { hostAndPort } from "../platform/host.ts";
import { errorFields, type Log } from "../platform/log.ts";
import { backOffMs, DEFAULT_BACK_OFF } from "../platform/retry.ts";
import type { EtcdLauncher } from "./etcd_launchers.ts";
import type { RosterFounder } from "./pledge.ts";

/** The file that says that etcd may have voted. */
export const STARTED_FILE = "started";
/** The folder of etcd's data. */
export const DATA_FOLDER = "etcd";

/** Raft's times, milliseconds. */
export interface RaftTimes {
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

/** Long enough for slow disks and networks between sites. */
const RAFT_TIMES: RaftTimes = Object.freeze({ heartbeatMs: 500, electionMs: 5_000 });

/** The roster that etcd's members are. */
export interface EtcdRoster {
  readonly founders: readonly RosterFounder[];
  readonly self: RosterFounder;
  /** R. */
  readonly digest: Uint8Array;
}

/** What {@linkcode EtcdProcess} needs. */
export interface EtcdProcessParts {
  /** The founder's folder, with F as `key.pem` and `certificate.pem`. */
  readonly folder: string;
  readonly roster: EtcdRoster;
  readonly launcher: EtcdLauncher;
  readonly clock: Clock;
  readonly log: Log;
  /** The jitter of the pauses: random numbers from 0 to 1. */
  readonly random: () => number;
  /** Default: 500 ms and 5 s. Tests use shorter ones. */
  readonly times?: RaftTimes;
}

/** A run of etcd that lasted so long was no failure to start. */
const LASTED_MS = 30_000;

/** Keeps this founder's member running. */
export class EtcdProcess {
  readonly #parts: EtcdProcessParts;
  #endpoint: EtcdEndpoint | undefined;
  #lastError: BootstrapError | undefined;

  /** Starts nothing yet. */
  constructor(parts: EtcdProcessParts) {
    this.#parts = parts;
  }

  /** The member's client port; `undefined` while it does not run. */
  get endpoint(): EtcdEndpoint | undefined {
    return this.#endpoint;
  }

  /** Why the last start failed or etcd ended last; `undefined` while it runs. */
  get lastError(): BootstrapError | undefined {
    return this.#lastError;
  }

  /**
   * Runs etcd, again and again, until the signal aborts. When it rejects, etcd has ended.
   *
   * @returns `"data-lost"`: etcd was started once and its log is not there, so it must never vote again. This machine is
   *   no founder any more.
   * @throws The signal's reason, once it is aborted.
   */
  async run(signal: AbortSignal): Promise<"data-lost"> {
    const { clock, log, random } = this.#parts;
    let failures = 0;
    for (;;) {
      signal.throwIfAborted();
      const startMs = clock.monotonicMs();
      try {
        if (await this.#isDataLost()) return "data-lost";
        await this.#prepare();
        await this.#runOnce(signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#lastError = asBootstrapError(error);
        failures = clock.monotonicMs() - startMs > LASTED_MS ? 1 : failures + 1;
        log.event("warn", "founding-etcd-ended", errorFields(this.#lastError));
      }
      await clock.sleep(backOffMs(DEFAULT_BACK_OFF, Math.max(1, failures), random()), signal);
    }
  }

  async #isDataLost(): Promise<boolean> {
    return await exists(join(this.#parts.folder, STARTED_FILE)) && !await hasLog(this.#parts.folder);
  }

  /** Everything that may fail comes before the file that forbids a start without a log. */
  async #prepare(): Promise<void> {
    const { folder, launcher, roster: { founders, self } } = this.#parts;
    await launcher.cleanUp();
    await launcher.check();
    checkPeerPort(self);
    await ensureFolder(join(folder, DATA_FOLDER), 0o700);
    const certificates = founders.map(({ certificate }) => writePem("CERTIFICATE", certificate)).join("");
    await writeFileAtomic(trustedFile(folder), utf8(certificates), { mode: 0o600 });
    const started = join(folder, STARTED_FILE);
    if (!await createFileExclusive(started, utf8("version 1\n"), { mode: 0o600 })) await syncFile(started);
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const { folder, roster, launcher, log, times = RAFT_TIMES } = this.#parts;
    const port = freePort();
    let last = "";
    this.#endpoint = { text: `127.0.0.1:${port}`, host: "127.0.0.1", port };
    this.#lastError = undefined;
    log.event("info", "founding-etcd-starting", { peer: roster.self.address });
    try {
      const onLine = (line: string) => void (last = line.slice(0, 1_000));
      const code = await launcher.run(etcdArguments(roster, folder, port, times), { signal, onLine });
      throw new BootstrapError("unavailable/founding-etcd", `The founders' etcd ended with exit code ${code}`, {
        details: { last },
      });
    } finally {
      this.#endpoint = undefined;
    }
  }
}

/** Whether etcd's log is there. etcd makes its folder under another name, and renames it when it is synced. */
async function hasLog(folder: string): Promise<boolean> {
  const wal = join(folder, DATA_FOLDER, "member", "wal");
  if (!await exists(wal)) return false;
  return (await Array.fromAsync(Deno.readDir(wal))).some(({ name }) => name.endsWith(".wal"));
}

/**
 * The arguments of etcd. All certificates of the roster, and nothing else, are trusted by both ports: a key counts, and no
 * name in its certificate does.
 */
export function etcdArguments(
  { founders, self, digest }: EtcdRoster,
  folder: string,
  clientPort: number,
  { heartbeatMs, electionMs }: RaftTimes,
): string[] {
  const [peer, client] = [`https://${self.address}`, `https://127.0.0.1:${clientPort}`];
  const tls = [`key-file=${join(folder, "key.pem")}`, `cert-file=${join(folder, "certificate.pem")}`];
  const trusted = `trusted-ca-file=${trustedFile(folder)}`;
  return [
    `--name=${self.name}`,
    `--data-dir=${join(folder, DATA_FOLDER)}`,
    `--initial-cluster=${founders.map(({ name, address }) => `${name}=https://${address}`).join(",")}`,
    "--initial-cluster-state=new",
    `--initial-cluster-token=${hex(digest)}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--listen-peer-urls=${listenUrl(self)}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    ...[...tls, trusted].map((flag) => `--${flag}`),
    "--client-cert-auth",
    ...[...tls, trusted].map((flag) => `--peer-${flag}`),
    "--peer-client-cert-auth",
    "--peer-skip-client-san-verification",
    `--heartbeat-interval=${heartbeatMs}`,
    `--election-timeout=${electionMs}`,
    "--log-level=warn",
  ];
}

/** The certificates of the roster. */
export const TRUSTED_FILE = "trusted.pem";

function trustedFile(folder: string): string {
  return join(folder, TRUSTED_FILE);
}

/** etcd listens on addresses only. A name stands for whatever this machine has. */
function listenUrl({ address }: RosterFounder): string {
  const { host, port } = readEndpoint(address, "address of this founder");
  return `https://${isIP(host) === 0 ? hostAndPort("::", port) : address}`;
}

/** Fails before etcd would, and by name. */
function checkPeerPort({ address }: RosterFounder): void {
  const { host, port } = readEndpoint(address, "address of this founder");
  try {
    Deno.listen({ hostname: isIP(host) === 0 ? "::" : host, port }).close();
  } catch (cause) {
    const reason = cause instanceof Deno.errors.AddrInUse
      ? "another program listens there"
      : "this machine does not have the address";
    throw new BootstrapError("unavailable/founding-etcd", `Cannot listen on ${address} for other founders: ${reason}`, {
      cause,
      details: { address },
    });
  }
}

/** etcd opens it a moment later. If another program was faster, etcd ends, and is started with another port. */
function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}
