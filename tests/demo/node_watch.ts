import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import type { Machine } from "../e2e/machine.ts";
import { bootingRow, type NodeRow, nodeRow } from "./node_row.ts";

/** Receives what a {@linkcode NodeWatch} sees. */
export interface NodeWatchListener {
  /** Called about twice a second. */
  readonly onRows: (rows: readonly NodeRow[]) => void;
  /** Called once, when a machine has died or its journal cannot be read; the watch then ends. */
  readonly onFailure: (error: unknown) => void;
}

const everyMs = 500;

/** Follows the journals of machines that have been switched on, and makes the table's rows from them. */
export class NodeWatch implements Disposable {
  readonly #watched: { readonly machine: Machine; row: NodeRow; position: number }[];
  readonly #listener: NodeWatchListener;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  /** Starts watching at once. The machines already run. */
  constructor(machines: readonly Machine[], listener: NodeWatchListener) {
    this.#watched = machines.map((machine) => ({
      machine,
      row: bootingRow(machine.name, machine.address),
      position: 0,
    }));
    this.#listener = listener;
    this.#look();
  }

  /** The current rows. */
  get rows(): readonly NodeRow[] {
    return this.#watched.map(({ row }) => row);
  }

  /** Adds the states of the cluster's Nodes, by their names. */
  setKubernetes(states: ReadonlyMap<string, string>): void {
    for (const watched of this.#watched) {
      watched.row = { ...watched.row, kubernetes: states.get(watched.row.name) ?? "" };
    }
  }

  [Symbol.dispose](): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    try {
      await Promise.all(this.#watched.map((watched) => this.#read(watched)));
      if (this.#over) return;
      this.#listener.onRows(this.rows);
      this.#timer = setTimeout(() => this.#look(), everyMs);
    } catch (error) {
      if (!this.#over) this.#listener.onFailure(error);
      this.#over = true;
    }
  }

  async #read(watched: { readonly machine: Machine; row: NodeRow; position: number }): Promise<void> {
    const { machine } = watched;
    const entries = (await machine.journal.entries()).slice(watched.position);
    watched.position += entries.length;
    for (const entry of entries) watched.row = nodeRow(watched.row, entry);
    if (await machine.isRunning()) return;
    throw new BootstrapError(DEMO_CODES.machineDied, `The machine ${machine.name} has died`, {
      next: `Look at qemu.log and console.log in ${machine.folder}`,
    });
  }
}
