import { type DiskHarm, mendingOf } from "./crash_points.ts";
import type { RunMachine } from "../node/run_machine.ts";

/** Folders of a machine on separate file systems that are small enough to be filled up. */
export class SmallDisks {
  readonly #machine: RunMachine;
  readonly #folders: readonly string[];

  private constructor(machine: RunMachine, folders: readonly string[]) {
    this.#machine = machine;
    this.#folders = folders;
  }

  /** Mounts the file systems, empty, before anything is started. */
  static async mount(machine: RunMachine, folders: readonly string[]): Promise<SmallDisks> {
    await machine.shell(folders.map((folder) => `mount -t tmpfs -o size=8m small '${folder}'`).join("\n"));
    return new SmallDisks(machine, folders);
  }

  /** Frees space on the file systems, or makes them writable. */
  mend(kind: DiskHarm["kind"]): Promise<void> {
    return this.#machine.shell(mendingOf({ kind, folders: [...this.#folders] }));
  }

  /** Moves their content to the machine's own disk, where a test can read it. */
  async move(): Promise<void> {
    const moves = this.#folders.map((folder) =>
      `copy=$(mktemp -d)\ncp -a '${folder}/.' $copy\numount -l '${folder}'\ncp -a $copy/. '${folder}'\nrm -rf $copy`
    );
    await this.#machine.shell(moves.join("\n"));
  }
}
