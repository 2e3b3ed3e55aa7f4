/**
 * A process that takes part in a founding with a real etcd. It is a stand-in: it makes no cluster and meets nobody. What
 * it does instead is in files: its cards, its node lock, "founded" and "serving" lie in folders that all stand-ins see.
 *
 *     deno run --allow-all tests/integration/founding/stand_in.ts OPTIONS
 *
 * @module
 */
import { join } from "node:path";
import { readPrivateKeyPem } from "../../../certificate/keys.ts";
import { readPem } from "../../../certificate/pem.ts";
import { FoundingCeremony } from "../../../founding/ceremony.ts";
import {
  CEREMONY_TIMES,
  type CeremonyTimes,
  type FounderEffects,
  type FoundersSeen,
  type JoinGate,
  type OwnLock,
  type PledgeState,
} from "../../../founding/ceremony_parts.ts";
import { binaryLauncher } from "../../../founding/etcd_launchers.ts";
import type { RaftTimes } from "../../../founding/etcd_process.ts";
import { finishLeaving } from "../../../founding/leaving.ts";
import { hex, randomBytes, utf8 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { createFileExclusive, ensureFolder, exists, writeFileAtomic } from "../../../platform/files.ts";
import { createLog } from "../../../platform/log.ts";
import type { RosterEntry } from "../../../protocol/transcript.ts";

/** How a stand-in behaves. */
export interface StandInOptions {
  readonly name: string;
  readonly identity: string;
  readonly address: string;
  readonly size: number;
  /** The folder that all stand-ins see. */
  readonly shared: string;
  /** The folder of this founder. */
  readonly folder: string;
  readonly etcd: string;
  readonly times: Partial<CeremonyTimes>;
  readonly raftTimes: RaftTimes;
  /** How long founding takes. */
  readonly foundMs: number;
  /** What fails for good. */
  readonly fails?: "stage" | "found";
  /** It never ends. */
  readonly hangs?: "stage" | "found";
  /** It is another cluster's: this node's JoinClient takes the lock for it when the founder would. */
  readonly joinWins?: string;
  /** Whether it would found, once the roster is fixed. */
  readonly ready: boolean;
}

interface Card {
  readonly entry: { identity: string; name: string; address: string; certificate: string };
  readonly view: readonly string[];
  readonly pledges: readonly { key: string; signature: string }[];
  readonly timeMs: number;
}

const CARD_MS = 2_000;
const WRITE_MS = 100;
const FOREVER_MS = 2 ** 30;

/** What stand-ins share, as files. */
class Board {
  readonly #options: StandInOptions;
  readonly #entry: RosterEntry;
  #pledged: PledgeState | undefined;
  #cards: readonly Card[] = [];

  constructor(options: StandInOptions, entry: RosterEntry) {
    this.#options = options;
    this.#entry = entry;
  }

  publish(state: PledgeState): void {
    this.#pledged = state;
  }

  seen(): FoundersSeen {
    const present = this.#cards.filter(({ timeMs }) => Date.now() - timeMs < CARD_MS);
    const others = present.filter(({ entry }) => entry.name !== this.#options.name);
    const view = this.#view(others);
    const here = [this.#options.name, ...others.map(({ entry }) => entry.name)];
    return {
      entries: [this.#entry, ...others.map(({ entry }) => entryOf(entry))],
      isAgreed: others.every((card) => card.view.join() === view.join()),
      hindrances: [],
      pledges: others.flatMap(({ pledges }) =>
        pledges.map(({ key, signature }) => ({ key, signature: Uint8Array.fromBase64(signature) }))
      ),
      absent: this.#pledged?.entries.map(({ name }) => name).filter((name) => !here.includes(name)) ?? [],
    };
  }

  async exchange(): Promise<never> {
    const folder = join(this.#options.shared, "cards");
    for (;;) {
      const others = this.#cards.filter(({ entry, timeMs }) =>
        entry.name !== this.#options.name && Date.now() - timeMs < CARD_MS
      );
      const { identity, name, address, certificate } = this.#entry;
      const card: Card = {
        entry: { identity, name, address, certificate: certificate.toBase64() },
        view: this.#view(others),
        pledges: this.#pledged?.pledges.map(({ key, signature }) => ({ key, signature: signature.toBase64() })) ?? [],
        timeMs: Date.now(),
      };
      const temporary = join(this.#options.folder, "card");
      await Deno.writeTextFile(temporary, JSON.stringify(card));
      await Deno.rename(temporary, join(folder, name));
      const cards: Card[] = [];
      for await (const entry of Deno.readDir(folder)) {
        cards.push(JSON.parse(await Deno.readTextFile(join(folder, entry.name))));
      }
      this.#cards = cards;
      await systemClock.sleep(WRITE_MS);
    }
  }

  #view(others: readonly Card[]): string[] {
    if (this.#pledged !== undefined) return this.#pledged.entries.map(({ name }) => name).toSorted();
    return [this.#options.name, ...others.map(({ entry }) => entry.name)].toSorted();
  }
}

function entryOf({ certificate, ...rest }: Card["entry"]): RosterEntry {
  return { ...rest, certificate: Uint8Array.fromBase64(certificate) };
}

/** The node of a stand-in: a lock, and files that say what was done. */
class Node {
  readonly #options: StandInOptions;
  readonly #lockFile: string;
  #gate: JoinGate = { kind: "any" };

  constructor(options: StandInOptions) {
    this.#options = options;
    this.#lockFile = join(options.folder, "node.lock");
  }

  get effects(): FounderEffects {
    const { folder, fails, hangs, foundMs, joinWins, name, shared } = this.#options;
    return {
      lock: () => this.#lock(),
      prepare: () => Promise.resolve(`sha256:${hex(randomBytes(32))}`),
      discard: () => Promise.resolve(),
      stage: async (_clusterId, signal) => {
        if (hangs === "stage") await systemClock.sleep(FOREVER_MS, signal);
        if (fails === "stage") throw new Error("preflight fails, as asked for");
      },
      takeLock: (clusterId) =>
        this.#take(joinWins === undefined ? { owner: "init", clusterId } : { owner: "join", clusterId: joinWins }),
      found: async (clusterId, signal) => {
        await systemClock.sleep(hangs === "found" ? FOREVER_MS : foundMs, signal);
        if (fails === "found") throw new Error("kubeadm fails, as asked for");
        await writeFileAtomic(join(folder, "founded"), utf8(clusterId), { mode: 0o600 });
        return [`${name}:6443`];
      },
      serve: async ({ clusterId }) => {
        await this.#history(`${name} serves ${clusterId}`);
        await writeFileAtomic(join(shared, "serving", name), utf8(clusterId), { mode: 0o600 });
      },
      supersede: async (reason) => {
        await this.#history(`${name} superseded ${reason}`);
        await writeFileAtomic(join(folder, "superseded"), utf8(reason), { mode: 0o600 });
      },
      openJoin: (gate) => void (this.#gate = gate),
      isMember: async () => (await this.#lock())?.owner === "init" || await exists(join(folder, "joined")),
    };
  }

  /** The JoinClient: it joins what serves, and what the gate lets it. */
  async join(): Promise<never> {
    const { folder, shared, name } = this.#options;
    for (;;) {
      const serving = await Array.fromAsync(Deno.readDir(join(shared, "serving")));
      for (const entry of serving.filter((entry) => entry.isFile && !entry.name.startsWith("."))) {
        const clusterId = await Deno.readTextFile(join(shared, "serving", entry.name));
        const gate = this.#gate;
        const mayJoin = gate.kind === "any" || (gate.kind === "only" && gate.clusterId === clusterId);
        const lock = await this.#lock();
        if (mayJoin && lock === undefined) await this.#take({ owner: "join", clusterId });
        const isOwn = lock?.owner === "join" && lock.clusterId === clusterId;
        if (!isOwn || await exists(join(folder, "joined"))) continue;
        await this.#history(`${name} joins ${clusterId}`);
        await writeFileAtomic(join(folder, "joined"), utf8(clusterId), { mode: 0o600 });
      }
      await systemClock.sleep(WRITE_MS);
    }
  }

  async #lock(): Promise<OwnLock | undefined> {
    if (!await exists(this.#lockFile)) return undefined;
    return JSON.parse(await Deno.readTextFile(this.#lockFile));
  }

  async #take(lock: OwnLock): Promise<OwnLock> {
    await createFileExclusive(this.#lockFile, utf8(JSON.stringify(lock)), { mode: 0o600 });
    return await this.#lock() ?? lock;
  }

  async #history(line: string): Promise<void> {
    await Deno.writeTextFile(join(this.#options.shared, "history"), `${line}\n`, { append: true });
  }
}

async function run(options: StandInOptions): Promise<void> {
  const { folder, shared, name, identity, address, size, times, raftTimes, etcd } = options;
  const own = join(folder, "founding");
  const write = (line: string) => Deno.writeTextFileSync(join(folder, "log"), `${line}\n`, { append: true });
  const log = createLog(systemClock, write);
  for (const path of [own, join(shared, "cards"), join(shared, "serving")]) await ensureFolder(path, 0o700);
  log.event("info", "stand-in", { note: "this is a stand-in: it founds no cluster", pid: Deno.pid });
  const node = new Node(options);
  const { effects } = node;
  node.join();
  await finishLeaving(own);
  const keyFile = join(own, "key.pem");
  if (!await exists(keyFile)) {
    if (await effects.lock() === undefined) effects.openJoin({ kind: "any" });
    log.event("info", "stand-in-is-no-founder");
    await new Promise(() => setTimeout(() => {}, FOREVER_MS));
  }
  const [keyPem, certificatePem] = [
    await Deno.readTextFile(keyFile),
    await Deno.readTextFile(`${own}/certificate.pem`),
  ];
  const keys = await readPrivateKeyPem(keyPem, "key.pem");
  const entry = { identity, name, address, certificate: readPem(certificatePem, "CERTIFICATE", "certificate.pem") };
  const board = new Board(options, entry);
  board.exchange();
  const ceremony = new FoundingCeremony({
    ...{ keys, keyPem, certificatePem, folder: own, size, trustDigest: new Uint8Array(32), effects, log, raftTimes },
    seen: () => board.seen(),
    publish: (state) => board.publish(state),
    // Whoever is not ready pledges nevertheless: the tests choose who is decided on.
    ready: async () => (options.ready || !await exists(join(own, "roster"))) && await effects.lock() === undefined,
    launcher: binaryLauncher(systemCommands, etcd),
    clock: systemClock,
    random: Math.random,
    times: { ...CEREMONY_TIMES, ...times },
    onWaiting: (line) => log.event("info", "waiting", { line }),
  });
  const stop = new AbortController();
  Deno.addSignalListener("SIGTERM", () => stop.abort());
  const end = await ceremony.run(stop.signal);
  await writeFileAtomic(join(folder, "end"), utf8(end.kind), { mode: 0o600 });
  // A superseded node waits for its reset, and one that is no founder any more joins.
  if (end.kind === "left") Deno.exit(0);
}

if (import.meta.main) await run(JSON.parse(Deno.args[0] ?? "{}"));
