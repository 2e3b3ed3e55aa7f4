import assert from "node:assert/strict";
import { join } from "node:path";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { Life } from "./crash_lives.ts";
import type { RunMachine, RunWorld } from "../node/run_machine.ts";
import { PATIENCE_MS } from "../node/run_process.ts";

const POINTS = "/run/kubeadm-kill-points";
const LINE = /^(killed )?((\S+) (\S+) (\d+)): (.*)$/;

/** A line that kubeadm prints, as `_kubeadm_killing_wrapper.sh` records it. */
export interface KubeadmLine {
  /** The command, the phase and the number of the line in it, as `init certs 3`. */
  readonly point: string;
  /** The command: `init`, `join`, or a step of a control plane's join. */
  readonly work: string;
  /** The phase that the line announces. */
  readonly phase: string;
  /** The number of the line within its phase. */
  readonly line: string;
  /** Whether kubeadm was killed there. */
  readonly killed: boolean;
}

/** Sets the points at which kubeadm is killed on a machine. Without any, its output is only recorded. */
export async function setKillPoints(machine: RunMachine, points: readonly string[]): Promise<void> {
  await machine.shell(`printf '%s' '${points.map((point) => `${point}\n`).join("")}' >${POINTS}`);
}

/** The lines that kubeadm printed on a machine, in order. */
export async function kubeadmLines({ world }: RunWorld, { node }: RunMachine): Promise<readonly KubeadmLine[]> {
  const text = await Deno.readTextFile(join(world.logs, `${node.name}-var-log`, "kubeadm-lines")).catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [, killed, point, work = "", phase = "", number = ""] = LINE.exec(line) ?? [];
    return point === undefined ? [] : [{ point, work, phase, line: number, killed: killed !== undefined }];
  });
}

/** The first and the last line of each phase, from an undisturbed run. */
export function phaseEnds(lines: readonly KubeadmLine[]): readonly string[] {
  const ends = new Map<string, { readonly first: string; last: string }>();
  for (const { work, phase, point } of lines) {
    const known = ends.get(`${work} ${phase}`);
    if (known === undefined) ends.set(`${work} ${phase}`, { first: point, last: point });
    else known.last = point;
  }
  return [...new Set([...ends.values()].flatMap(({ first, last }) => [first, last]))];
}

/** The headings of a command, in the order in which they first appear. */
export function announcementsOf(lines: readonly KubeadmLine[], work: string): readonly string[] {
  return [...new Set(lines.filter((line) => line.work === work).map(({ phase }) => phase))];
}

/** A join goes on by itself after this many kills of its kubeadm. After more, it is restarted, as its pauses grow. */
const KILLS_LEFT_ALONE = 2;

/**
 * Starts `run` until it succeeds, however often its kubeadm is killed. A join goes on by itself. An init ends with a
 * clear error, and goes on when it is started again.
 */
export async function liveThroughKills(world: RunWorld, life: Life): Promise<void> {
  const { machine, way } = life;
  const kills = async () => (await kubeadmLines(world, machine)).filter(({ killed }) => killed).length;
  for (;;) {
    const before = await kills();
    let isOver = false;
    const started = life.start().finally(() => isOver = true);
    const watched = (async () => {
      await waitUntil(
        { what: `end of run on ${machine.node.name}`, deadlineMs: PATIENCE_MS },
        async () => isOver || (way !== "init" && await kills() > before + KILLS_LEFT_ALONE),
      );
      if (!isOver) await machine.kill();
    })();
    // Both at once: the first one to fail gives the error, and no promise of the other is left behind.
    const [running] = await Promise.all([started, watched]);
    if (await running.exitCode() === 0) return;
    assert.ok(await kills() > before, `it failed without a kill: ${await running.output()}`);
    if (way !== "init") continue;
    const failed = (await running.events()).find(({ event }) => event === "run-failed");
    assert.deepEqual([failed?.["code"], failed?.["message"]], [
      ...["system/kubeadm", "kubeadm init failed: it was killed by signal 9"],
    ]);
  }
}
