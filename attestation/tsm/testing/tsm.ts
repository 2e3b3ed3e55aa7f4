/**
 * A configfs-tsm for tests, which behaves as the kernel's (drivers/virt/coco/guest/report.c) and can be made to misbehave.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import type { TsmFiles } from "../files.ts";

/** What the fake kernel answers. */
export interface FakeTsm {
  /** The driver's name. */
  readonly provider: string;
  /** The report over given data. */
  answer(reportData: Bytes): Promise<{ readonly outblob: Bytes; readonly auxblob?: Bytes }>;
  /** The least privilege level that may be asked for; without it there are no levels. */
  readonly privilegeFloor?: number;
  /** Called before an attribute is read; writing there is what another process would do. */
  beforeRead?(attribute: string, entry: FakeEntry): void;
}

/** An entry of the fake kernel. */
export interface FakeEntry {
  /** The number of writes. */
  generation: bigint;
  /** The report data. */
  inblob: Bytes;
}

/** The fake, and what is in its folder. */
export interface FakeTsmFiles extends TsmFiles {
  /** The entries by name. */
  readonly all: Map<string, FakeEntry>;
}

/** Makes a folder of entries. Process 1 is running, and so is the one that asks, 4711. */
export function createFakeTsm(fake: FakeTsm): FakeTsmFiles {
  const all = new Map<string, FakeEntry>();
  const entryOf = (name: string): FakeEntry => {
    const entry = all.get(name);
    if (entry === undefined) throw new Error(`no entry ${name}`);
    return entry;
  };
  const write = (entry: FakeEntry, attribute: string, bytes: Bytes) => {
    if (attribute === "inblob") {
      // configfs drops the driver's error when the file is closed.
      if (bytes.length !== 64) return;
      entry.inblob = bytes;
    } else if (attribute !== "privlevel" || Number(new TextDecoder().decode(bytes)) < (fake.privilegeFloor ?? 4)) {
      throw new Error("EINVAL");
    }
    entry.generation++;
  };
  const read = async (entry: FakeEntry, attribute: string): Promise<Bytes | undefined> => {
    fake.beforeRead?.(attribute, entry);
    const text = (value: unknown) => new TextEncoder().encode(`${value}\n`);
    if (attribute === "provider") return text(fake.provider);
    if (attribute === "generation") return text(entry.generation);
    if (attribute === "privlevel_floor") {
      return fake.privilegeFloor === undefined ? undefined : text(fake.privilegeFloor);
    }
    const { outblob, auxblob } = await fake.answer(entry.inblob);
    return attribute === "outblob" ? outblob : auxblob;
  };
  return {
    all,
    processId: 4711,
    entries: () => Promise.resolve([...all.keys()]),
    makeEntry(name) {
      if (all.has(name)) return Promise.reject(new Error("EEXIST"));
      all.set(name, { generation: 0n, inblob: new Uint8Array() });
      return Promise.resolve();
    },
    removeEntry(name) {
      all.delete(name);
      return Promise.resolve();
    },
    // deno-lint-ignore require-await -- what it throws must come as a rejection.
    write: async (name, attribute, bytes) => write(entryOf(name), attribute, bytes),
    read: (name, attribute) => read(entryOf(name), attribute),
    isRunning: (processId) => Promise.resolve(processId === 1 || processId === 4711),
  };
}
