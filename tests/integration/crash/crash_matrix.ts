import { join } from "node:path";

/** One crash and its result. */
export interface CrashRow {
  /** How the node becomes a member. */
  readonly way: string;
  /** The process that was killed. */
  readonly victim: string;
  /** The step, or the phase of kubeadm, at which it was killed. */
  readonly step: string;
  /** Whether it was killed right before or right after the step. */
  readonly moment: string;
  /** The node's state when it was killed, and its final state. */
  readonly ended: string;
  /** Seconds from the first start to the end. */
  readonly seconds: number;
}

/** The columns that are known before a life ends. */
type Life = Pick<CrashRow, "way" | "victim" | "step">;

/** Collects the result of each life. A life that fails does not hide the results of others. */
export class CrashMatrix {
  readonly #rows: CrashRow[] = [];
  readonly #failures: string[] = [];

  /** Adds the rows of one life, one for each crash. `work` returns them at the end of the life. */
  async rows(life: Life, work: () => Promise<readonly Omit<CrashRow, "way" | "victim" | "seconds">[]>): Promise<void> {
    const startMs = performance.now();
    const rows = await work().catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      this.#failures.push(`${life.way}, ${life.victim} killed ${life.step}: ${text}`);
      return [{ step: life.step, moment: "", ended: `FAILED: ${text.split("\n")[0]}` }];
    });
    const seconds = Math.round((performance.now() - startMs) / 100) / 10;
    for (const row of rows) this.#rows.push({ ...life, ...row, seconds });
  }

  /** Prints the matrix as a table, and writes it as JSON into a folder of logs. */
  async report(logs: string): Promise<void> {
    const cells = this.#rows.map(({ way, victim, step, moment, ended, seconds }) => [
      ...[way, victim, moment, step, ended.slice(0, 100), seconds.toFixed(1)],
    ]);
    cells.unshift(["way", "killed", "moment", "step", "ended as", "seconds"]);
    const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? [];
    const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
    await Deno.stdout.write(new TextEncoder().encode(`\n${lines.join("\n")}\n\n`));
    await Deno.writeTextFile(join(logs, "crash-matrix.json"), JSON.stringify(this.#rows, null, 2));
  }

  /** Throws if any crash had a bad result. */
  assertAllWell(): void {
    if (this.#failures.length > 0) throw new Error(`${this.#failures.length} crashes:\n${this.#failures.join("\n")}`);
  }
}

/** Processes tasks, one at a time in each lane. A task may add further tasks. */
export async function inLanes<L, T>(
  lanes: readonly L[],
  tasks: readonly T[],
  work: (lane: L, task: T, add: (...more: readonly T[]) => void) => Promise<void>,
): Promise<void> {
  const left = [...tasks];
  await Promise.all(lanes.map(async (lane) => {
    for (let task = left.shift(); task !== undefined; task = left.shift()) {
      await work(lane, task, (...more) => void left.push(...more));
    }
  }));
}
