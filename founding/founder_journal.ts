/**
 * What a founder must remember of the decision: with which decision its keys were staged, and which cluster is complete.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { CLUSTER_ID_TEXT } from "../certificate/cluster_id.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFileIfExists, removeTemporaries, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import type { CompleteRecord } from "./decision.ts";
import type { StagedDecision } from "./moves.ts";

/** With which decision the keys were staged. */
export const DECISION_FILE = "decision";
/** The cluster that this founder made, once it is complete. It stays when the founder leaves. */
export const COMPLETE_FILE = "complete";

const VERSION = 1;
const MAXIMUM_BYTES = 1 << 14;

const clusterId = v.pipe(v.string(), v.regex(CLUSTER_ID_TEXT, "is not sha256: and 64 hexadecimal digits"));
const epoch = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const decisionSchema = v.strictObject({
  version: v.literal(VERSION),
  epoch,
  revision: v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,18}$/, "is not a revision"), v.transform((text) => BigInt(text))),
  clusterId,
});
const completeSchema = v.strictObject({
  version: v.literal(VERSION),
  epoch,
  clusterId,
  endpoints: v.pipe(v.array(v.string()), v.maxLength(16)),
});

/** Two files in the founder's folder. Each is synced before the next step. */
export class FounderJournal {
  readonly #folder: string;
  #staged: StagedDecision | undefined;
  #completed: CompleteRecord | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Reads the files of an earlier run.
   *
   * @throws {BootstrapError} `malformed/founder-file`, `system/file`.
   */
  static async open(folder: string): Promise<FounderJournal> {
    await ensureFolder(folder, 0o700);
    const journal = new FounderJournal(folder);
    for (const name of [DECISION_FILE, COMPLETE_FILE]) await removeTemporaries(join(folder, name));
    journal.#staged = await readStaged(folder);
    journal.#completed = await readCompleted(folder);
    return journal;
  }

  /** With which decision keys were staged last. */
  get staged(): StagedDecision | undefined {
    return this.#staged;
  }

  /** The cluster that this founder made and that is complete. */
  get completed(): CompleteRecord | undefined {
    return this.#completed;
  }

  /** Writes with which decision keys are staged. */
  async stage({ epoch, revision, clusterId }: StagedDecision): Promise<void> {
    await this.#write(DECISION_FILE, { epoch, revision: String(revision), clusterId });
    this.#staged = { epoch, revision, clusterId };
  }

  /** Writes that the own cluster is complete. Only then may its join service start. */
  async complete({ epoch, clusterId, endpoints }: CompleteRecord): Promise<void> {
    await this.#write(COMPLETE_FILE, { epoch, clusterId, endpoints });
    this.#completed = { epoch, clusterId, endpoints };
  }

  async #write(name: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    const bytes = utf8(JSON.stringify({ version: VERSION, ...fields }) + "\n");
    await writeFileAtomic(join(this.#folder, name), bytes, { mode: 0o600 });
  }
}

/**
 * Reads which cluster this founder made and completed; `undefined` if there is none. Until then the
 * service of a node that a founder locked is only staged, in a folder that its units do not see.
 *
 * @throws {BootstrapError} `malformed/founder-file`, `system/file`.
 */
export function readCompleted(folder: string): Promise<CompleteRecord | undefined> {
  return read(folder, COMPLETE_FILE, decodeCompleted);
}

function readStaged(folder: string): Promise<StagedDecision | undefined> {
  return read(folder, DECISION_FILE, decodeStaged);
}

/** Reads the bytes of the file `decision`. It throws `malformed/founder-file`. */
export function decodeStaged(bytes: Uint8Array, what: string): StagedDecision {
  const { epoch, revision, clusterId } = readJson(bytes, { ...formOf(what), schema: decisionSchema });
  return { epoch, revision, clusterId };
}

/** Reads the bytes of the file `complete`. It throws `malformed/founder-file`. */
export function decodeCompleted(bytes: Uint8Array, what: string): CompleteRecord {
  const { epoch, clusterId, endpoints } = readJson(bytes, { ...formOf(what), schema: completeSchema });
  return { epoch, clusterId, endpoints };
}

async function read<T>(
  folder: string,
  name: string,
  decode: (bytes: Uint8Array, what: string) => T,
): Promise<T | undefined> {
  const path = join(folder, name);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : decode(bytes, path);
}

function formOf(what: string) {
  return {
    maximumBytes: MAXIMUM_BYTES,
    newest: VERSION,
    error: (reason: string, _key: string, cause?: unknown) =>
      new BootstrapError("malformed/founder-file", `Cannot read ${what}: ${reason}`, { cause }),
  };
}
