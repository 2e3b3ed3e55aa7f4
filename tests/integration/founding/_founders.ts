import assert from "node:assert/strict";
import { join } from "node:path";
import { makeFounder, type TestFounder } from "../../../founding/testing/founder.ts";
import { createNetwork, type WorldNetwork } from "../../_world_network.ts";
import { type Holder, inNetwork, startHolder } from "../../_world_process.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { repositoryRoot } from "../../world.ts";
import type { StandInOptions } from "./stand_in.ts";

/** Short times, which two busy cores keep. */
export const SHORT: Pick<StandInOptions, "times" | "raftTimes" | "foundMs"> = {
  times: {
    ...{ stableMs: 200, restlessMs: 5_000, takeoverMs: 4_000, leaveMs: 20_000, lingerMs: 1_000, pollMs: 150 },
    ...{ callMs: 1_500, leaseSeconds: 2, noLeaderMs: 60_000, restMs: 500, lineMs: 1_000 },
  },
  raftTimes: { heartbeatMs: 100, electionMs: 1_000 },
  foundMs: 300,
};
const PORT = 9444;
const DEADLINE_MS = 60_000;

/** One founder's machine: a network namespace, a disk, and a process or none. */
export class FounderMachine {
  readonly name: string;
  readonly folder: string;
  readonly address: string;
  readonly founder: TestFounder;
  readonly holder: Holder;
  readonly #options: StandInOptions;
  #child: Deno.ChildProcess | undefined;

  constructor(founder: TestFounder, holder: Holder, options: StandInOptions) {
    const { name, address } = founder.entry;
    this.name = name;
    this.address = address.slice(0, address.lastIndexOf(":"));
    this.founder = founder;
    this.holder = holder;
    this.folder = options.folder;
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  /** Starts the stand-in. */
  start(more: Partial<StandInOptions> = {}): void {
    assert.equal(this.#child, undefined, `${this.name} runs already`);
    const program = join(repositoryRoot, "tests/integration/founding/stand_in.ts");
    const output = Deno.openSync(join(this.folder, "output"), { create: true, append: true });
    const child = new Deno.Command("setpriv", {
      args: [
        ...["--pdeathsig", "KILL", "nsenter", "--target", String(this.holder.pid), "--net", "--", "sh", "-c"],
        ...['exec "$@" >>"$0" 2>&1', join(this.folder, "output")],
        ...[...DENO_RUN, "--no-check", "--quiet", program, JSON.stringify({ ...this.#options, ...more })],
      ],
      cwd: repositoryRoot,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    output.close();
    this.#child = child;
    child.status.then(() => this.#child === child && (this.#child = undefined));
  }

  /** Ends the process and whatever it started. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    try {
      child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }

  /** The process ID of its etcd; `undefined` while there is none. */
  etcd(): number | undefined {
    const pid = this.#child?.pid;
    if (pid === undefined) return undefined;
    try {
      const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
      const found = children === "" ? [] : children.split(" ").map(Number);
      return found.find((child) => Deno.readTextFileSync(`/proc/${child}/comm`).trim() === "etcd");
    } catch {
      return undefined;
    }
  }

  /** Ends etcd only. Returns whether there was one. */
  killEtcd(): boolean {
    const pid = this.etcd();
    if (pid !== undefined) Deno.kill(pid, "SIGKILL");
    return pid !== undefined;
  }

  /** A file of this founder; `undefined` if it is not there. */
  async file(name: string): Promise<string | undefined> {
    return await Deno.readTextFile(join(this.folder, name)).catch(() => undefined);
  }

  /** The events of its log with that name. */
  async events(name: string): Promise<readonly Record<string, unknown>[]> {
    const lines = (await this.file("log") ?? "").split("\n").filter((line) => line.endsWith("}"));
    return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === name);
  }

  async event(name: string, holds: (event: Record<string, unknown>) => boolean = () => true): Promise<void> {
    await waitUntil(
      { what: `event ${name} of ${this.name}`, deadlineMs: DEADLINE_MS },
      async () => (await this.events(name)).some(holds),
    );
  }

  /** What becomes of its node in the end. */
  async outcome(): Promise<"member" | "superseded" | "no-founder" | undefined> {
    if (await this.file("superseded") !== undefined) return "superseded";
    const lock = await this.file("node.lock");
    const isServing = (await this.file(`../shared/serving/${this.name}`)) !== undefined;
    const isMember = isServing || (await this.file("joined")) !== undefined;
    if (lock !== undefined && isMember) return "member";
    return await this.file("end") === "no-founder" ? "no-founder" : undefined;
  }
}

/** Founders, each in its network, that share a folder. */
export class Founders implements AsyncDisposable {
  readonly machines: readonly FounderMachine[];
  readonly shared: string;
  readonly #network: WorldNetwork;
  readonly #root: string;

  private constructor(root: string, shared: string, network: WorldNetwork, machines: readonly FounderMachine[]) {
    this.#root = root;
    this.shared = shared;
    this.#network = network;
    this.machines = machines;
  }

  static async create(size: number, more: Partial<StandInOptions> = {}): Promise<Founders> {
    const { dir } = await prepareBinaries();
    const root = await Deno.makeTempDir({ prefix: "founders-" });
    const shared = join(root, "shared");
    for (const name of ["cards", "serving"]) await Deno.mkdir(join(shared, name), { recursive: true });
    await using stack = new AsyncDisposableStack();
    const network = stack.use(await createNetwork(await startHolder(["--net"])));
    const machines: FounderMachine[] = [];
    for (let index = 0; index < size; index++) {
      const holder = stack.use(await startHolder(["--net"]));
      await network.attach(holder, network.addressOf(index));
      const founder = await makeFounder(`n${index + 1}`, `${network.addressOf(index)}:${PORT}`);
      const folder = join(root, founder.entry.name);
      await Deno.mkdir(join(folder, "founding"), { recursive: true, mode: 0o700 });
      await Deno.writeTextFile(join(folder, "founding/key.pem"), founder.keyPem, { mode: 0o600 });
      await Deno.writeTextFile(join(folder, "founding/certificate.pem"), founder.certificatePem, { mode: 0o600 });
      const { identity, name, address } = founder.entry;
      const options = { identity, name, address, size, shared, folder, etcd: join(dir, "etcd"), ready: true };
      machines.push(new FounderMachine(founder, holder, { ...SHORT, ...options, ...more }));
    }
    stack.move();
    return new Founders(root, shared, network, machines);
  }

  startAll(more: Partial<StandInOptions> = {}): void {
    for (const machine of this.machines) machine.start(more);
  }

  /** The machine with that index. */
  at(index: number): FounderMachine {
    return this.machines[index] ?? assert.fail(`no founder ${index}`);
  }

  /** Cuts the links between two machines, in both directions. */
  async cut(one: FounderMachine, other: FounderMachine): Promise<void> {
    await inNetwork(one.holder, ["ip", "route", "replace", "blackhole", `${other.address}/32`]);
    await inNetwork(other.holder, ["ip", "route", "replace", "blackhole", `${one.address}/32`]);
  }

  /** Mends all links. */
  async heal(): Promise<void> {
    for (const { holder } of this.machines) await inNetwork(holder, ["ip", "route", "flush", "type", "blackhole"]);
  }

  /** What was done to nodes: `NAME serves CLUSTER`, `NAME joins CLUSTER`, `NAME superseded REASON`. */
  async history(): Promise<readonly string[]> {
    const text = await Deno.readTextFile(join(this.shared, "history")).catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }

  /** The clusters that ever served or were joined. There is never a second one. */
  async clusters(): Promise<ReadonlySet<string>> {
    const lines = await this.history();
    return new Set(lines.filter((line) => / (?:serves|joins) /.test(line)).map((line) => line.split(" ")[2] ?? ""));
  }

  async assertOneClusterAtMost(): Promise<void> {
    const clusters = await this.clusters();
    assert.ok(clusters.size <= 1, `two clusters: ${(await this.history()).join("; ")}`);
  }

  /** Waits until each of the machines is a member of one cluster, or ended otherwise as it may. */
  async settled(allowed: readonly string[] = ["member"], machines: readonly FounderMachine[] = this.machines) {
    await waitUntil({ what: "cluster of all founders", deadlineMs: DEADLINE_MS }, async ({ saw }) => {
      await this.assertOneClusterAtMost();
      const outcomes = await Promise.all(machines.map((machine) => machine.outcome()));
      saw(`${outcomes.join(", ")}; ${(await this.history()).join("; ")}; ${await this.#waits()}`);
      return outcomes.every((outcome) => outcome !== undefined && allowed.includes(outcome));
    });
    assert.equal((await this.clusters()).size, 1);
  }

  async #waits(): Promise<string> {
    const lines = await Promise.all(this.machines.map(async (machine) => {
      const last = (await machine.events("waiting")).at(-1);
      return `${machine.name}: ${last?.line ?? await machine.file("output")}`;
    }));
    return lines.join(" | ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.kill()));
    for (const { holder } of this.machines) await holder[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
    if (Deno.env.get("KEEP_FOUNDERS") === undefined) await Deno.remove(this.#root, { recursive: true });
  }
}
