/**
 * Random schedules of a founding: founders and their etcd are killed, cut off and started again, and in the end all of
 * them run and see each other. There is never a second cluster, and each schedule ends in one.
 *
 *     deno run --allow-all tests/integration/founding/schedules.ts [--count N] [--seed S] [--jobs N]
 *
 * The schedule number I has the seed S + I: `--seed` with a failed schedule's seed and `--count 1` plays it again. The
 * processes' speeds differ, so a replay does the same to them, and not always at the same moment.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Random } from "../../fuzz/_random.ts";
import { type FounderMachine, Founders } from "./_founders.ts";

/** What happened in a schedule. */
export interface ScheduleResult {
  readonly seed: number;
  /** What was done, in order. */
  readonly actions: readonly string[];
  /** The last of them is how it ended. */
  readonly outcome: "one cluster" | "majority lost";
}

const SIZES = [1, 2, 3, 3, 3, 5];
const MOST_ACTIONS = 10;
const LONGEST_PAUSE_MS = 900;
const LONGEST_FOUND_MS = 1_500;

/** Plays one schedule. It throws what was wrong, with the seed and all that was done. */
export async function playSchedule(seed: number): Promise<ScheduleResult> {
  const schedule = new Schedule(seed);
  try {
    return await schedule.play();
  } catch (cause) {
    const done = schedule.actions.join(", ");
    throw new Error(`The schedule with --seed ${seed} went wrong after ${done}: ${cause}`, { cause });
  }
}

class Schedule {
  readonly actions: string[] = [];
  readonly #seed: number;
  readonly #random: Random;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  async play(): Promise<ScheduleResult> {
    const size = this.#pick(SIZES);
    const foundMs = this.#random.below(LONGEST_FOUND_MS);
    await using founders = await Founders.create(size, { foundMs });
    this.actions.push(`${size} founders, founding takes ${foundMs} ms`);
    founders.startAll();
    for (let left = this.#random.below(MOST_ACTIONS); left > 0; left--) {
      await new Promise((resolve) => setTimeout(resolve, this.#random.below(LONGEST_PAUSE_MS)));
      this.actions.push(await this.#act(founders));
      await founders.assertOneClusterAtMost();
    }
    await founders.heal();
    for (const machine of founders.machines) if (await mayStart(machine)) machine.start();
    if (await this.#isMajorityLost(founders)) return this.#result("majority lost");
    await founders.settled(["member", "superseded"]).catch(async (error) => {
      if (!await this.#isMajorityLost(founders)) throw error;
      await founders.assertOneClusterAtMost();
    });
    return this.#result(await this.#isMajorityLost(founders) ? "majority lost" : "one cluster");
  }

  async #act(founders: Founders): Promise<string> {
    const machine = this.#pick(founders.machines);
    const other = this.#pick(founders.machines);
    const choice = this.#random.below(100);
    if (choice < 30) {
      await machine.kill();
      return `kill ${machine.name}`;
    }
    if (choice < 60) {
      if (await mayStart(machine)) machine.start();
      return `start ${machine.name}`;
    }
    if (choice < 75) return `kill etcd of ${machine.name}: ${machine.killEtcd()}`;
    if (choice < 90 && machine !== other) {
      await founders.cut(machine, other);
      return `cut ${machine.name} ${other.name}`;
    }
    await founders.heal();
    return "heal";
  }

  /**
   * Whether so many founders lost their vote that etcd has no majority: a process was killed between the mark that its
   * etcd was started and the first entry of etcd's log.
   */
  async #isMajorityLost({ machines }: Founders): Promise<boolean> {
    const ended = await Promise.all(machines.map((machine) => machine.events("founding-ended")));
    const lost = ended.filter((events) => events.some(({ kind }) => kind === "no-founder")).length;
    return machines.length - lost <= machines.length / 2;
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#random.below(list.length)];
    if (picked === undefined) throw new Error("Nothing to choose from");
    return picked;
  }

  #result(outcome: ScheduleResult["outcome"]): ScheduleResult {
    return { seed: this.#seed, actions: this.actions, outcome };
  }
}

/** Whether a machine's process is down, and has not ended for good. */
async function mayStart(machine: FounderMachine): Promise<boolean> {
  return !machine.isUp && await machine.file("end") !== "left";
}

/** Plays schedules, some at a time. */
export async function playSchedules(seed: number, count: number, jobs: number): Promise<readonly ScheduleResult[]> {
  const results: ScheduleResult[] = [];
  let next = 0;
  const play = async () => {
    while (next < count) results.push(await playSchedule(seed + next++));
  };
  await Promise.all(Array.from({ length: jobs }, play));
  return results;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "20" },
      jobs: { type: "string", default: "3" },
      seed: { type: "string", default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
    },
  });
  // deno-lint-ignore no-console
  const say = (line: string) => console.log(line);
  say(`--seed ${values.seed} --count ${values.count}`);
  const results = await playSchedules(Number(values.seed), Number(values.count), Number(values.jobs));
  const lost = results.filter(({ outcome }) => outcome === "majority lost").length;
  say(`${results.length} schedules: no second cluster; ${results.length - lost} ended in one, ${lost} lost a majority`);
}
