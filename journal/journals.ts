/**
 * The journal of a node's init or join, from memory to disk. A node has one file for each of the two, and the lock
 * determines which one counts.
 *
 * @module
 */
import { join } from "node:path";
import { hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, removeIfExists, removeTemporaries } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import { checkJournalHead, Journal } from "./journal.ts";
import type { JournalHead, JournalParts } from "./journal.ts";

/** The owner of a journal. A journal of another owner is refused. */
export type JournalOwner = Pick<JournalHead, "owner" | "nodeName" | "role">;

/** The journals of one owner, at most one of which is on disk. */
export class Journals {
  readonly #owner: JournalOwner;
  readonly #parts: JournalParts;
  readonly #folder: string;
  readonly #path: string;

  /** Reads and writes nothing yet. */
  constructor(stateFolder: string, owner: JournalOwner, parts: JournalParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.#folder = journalFolder(stateFolder);
    this.#path = join(this.#folder, owner.owner);
  }

  /** Creates a journal in memory, to be kept later. */
  draft(): Journal {
    return new Journal(this.#parts);
  }

  /**
   * Writes a journal to disk, directly before the lock.
   *
   * @param clusterId The cluster ID that the lock will name, 32 bytes.
   * @param operation The operator's request; only for an init.
   */
  async keep(journal: Journal, clusterId: Uint8Array, operation?: JournalHead["operation"]): Promise<void> {
    await ensureFolder(this.#folder);
    await journal.keep(this.#path, {
      ...this.#headOf(clusterId),
      ...present("operation", operation),
    });
  }

  /**
   * Reads the journal of a locked node.
   *
   * @param clusterId The cluster ID that the lock names, 32 bytes.
   * @throws {BootstrapError} `precondition/journal` if there is none, or it belongs to another lock or node;
   *   `malformed/journal`, `system/file`.
   */
  async read(clusterId: Uint8Array): Promise<Journal> {
    const journal = await Journal.read(this.#path, this.#parts);
    if (journal?.head === undefined) {
      throw new BootstrapError(
        "precondition/journal",
        `This node is locked, but its journal ${this.#path} is missing`,
        {
          next: "The node cannot know how far it came: run `bootstrapper reset`, or build it anew from its image",
          details: { path: this.#path },
        },
      );
    }
    checkJournalHead(journal.head, this.#headOf(clusterId));
    await removeTemporaries(this.#path);
    return journal;
  }

  /** Removes the journal of an owner that did not get the lock. */
  discard(): Promise<void> {
    return removeIfExists(this.#path);
  }

  #headOf(clusterId: Uint8Array): JournalHead {
    const { owner, nodeName, role } = this.#owner;
    return { owner, role, nodeName, clusterId: hex(clusterId) };
  }
}

/** Returns the folder of the journals in a state folder. */
export function journalFolder(stateFolder: string): string {
  return join(stateFolder, "journal");
}
