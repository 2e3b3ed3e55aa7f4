/**
 * A configfs-tsm for tests. It behaves like the kernel's (drivers/virt/coco/guest/report.c), and can misbehave on
 * request.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import type { TsmFiles } from "../files.ts";

/** The behaviour of the fake kernel. */
export interface FakeTsm {
  readonly provider: string;
  /** Returns the report over the data. */
  answer(reportData: Bytes): Promise<{ readonly outblob: Bytes; readonly auxblob?: Bytes }>;
  /** The lowest privilege level that may be requested. Without it there are no levels. */
  readonly privilegeFloor?: number;
  /** Called before an attribute is read. A write in it simulates another process. */
  beforeRead?(attribute: string, entry: FakeEntry): void;
}

/** An entry of the fake kernel. */
export interface FakeEntry {
  /** The number of writes to the entry. */
  generation: bigint;
  /** The report data. */
  inblob: Bytes;
}

/** The fake and the contents of its folder. */
export interface FakeTsmFiles extends TsmFiles {
  /** The entries by name. */
  readonly all: Map<string, FakeEntry>;
}

/** Creates a folder of entries. The running processes are 1 and the requesting process, 4711. */
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
    // deno-lint-ignore require-await -- an error must become a rejection.
    write: async (name, attribute, bytes) => write(entryOf(name), attribute, bytes),
    read: (name, attribute) => read(entryOf(name), attribute),
    isRunning: (processId) => Promise.resolve(processId === 1 || processId === 4711),
  };
}
