import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import type { ClusterRecord } from "./cluster_records.ts";
import { abandonCluster, holdRecord } from "./cluster_records.ts";

const record: ClusterRecord = {
  version: 1,
  clusterName: "demo",
  state: "pending",
  clusterId: "ab".repeat(32),
  identity: "cd".repeat(32),
  operationId: "ef".repeat(16),
  operatorKey: "00",
  clusterDocument: "kubernetesVersion: v1.36.3\n",
  policyDocument: "version: 1\n",
  adminKeyPem: "-----BEGIN PRIVATE KEY-----\n",
  resetCount: 3,
  time: "2030-01-02T03:04:05.678Z",
};

/** Registers a test with its own folder, which does not exist yet. */
function folderTest(name: string, run: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const parent = await Deno.makeTempDir({ prefix: "records-" });
    try {
      await run(join(parent, "clusters"));
    } finally {
      await Deno.remove(parent, { recursive: true });
    }
  });
}

const pathIn = (folder: string) => join(folder, "demo.json");
const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;

async function write(folder: string, text: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(pathIn(folder), text);
}

async function read(folder: string): Promise<ClusterRecord | undefined> {
  using held = await holdRecord(folder, "demo");
  return held.current;
}

folderTest("holdRecord() has no record of a name that was never founded", async (folder) => {
  assert.equal(await read(folder), undefined);
});

folderTest("holdRecord() returns what was written, in files that only their owner can read", async (folder) => {
  {
    using held = await holdRecord(folder, "demo");
    await held.write(record);
    assert.deepEqual(held.current, record);
  }
  assert.deepEqual(await read(folder), record);
  assert.deepEqual([await modeOf(folder), await modeOf(pathIn(folder))], [0o700, 0o600]);
  using other = await holdRecord(folder, "prod");
  assert.equal(other.current, undefined);
});

folderTest(
  "holdRecord() refuses a name that another init holds, until that init has ended in any way",
  async (folder) => {
    const held = await holdRecord(folder, "demo");
    await assert.rejects(holdRecord(folder, "demo"), { code: "unavailable/cluster-record", retriable: true });
    using _other = await holdRecord(folder, "prod");
    held[Symbol.dispose]();
    await write(folder, "{");
    await assert.rejects(read(folder), { code: "malformed/cluster-record" });
    await write(folder, JSON.stringify(record));
    assert.deepEqual(await read(folder), record);
  },
);

folderTest(
  "holdRecord() refuses a name that another process holds, and reads the record when that process is killed",
  async (folder) => {
    const script = `
    import { holdRecord } from "${new URL("./cluster_records.ts", import.meta.url).href}";
    using held = await holdRecord(${JSON.stringify(folder)}, "demo");
    for (let i = 0;; i++) {
      await held.write({ ...${JSON.stringify(record)}, clusterDocument: String(i).padEnd(100_000, "x") });
      console.log(i);
    }`;
    const configuration = fileURLToPath(new URL("../deno.json", import.meta.url));
    const holder = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", "--config", configuration, script],
      stdout: "piped",
    }).spawn();
    const output = holder.stdout.getReader();
    for (let i = 0; i < 3; i++) await output.read();
    await assert.rejects(holdRecord(folder, "demo"), { code: "unavailable/cluster-record" });
    holder.kill("SIGKILL");
    await holder.status;
    await output.cancel();
    assert.equal((await read(folder))?.clusterDocument.length, 100_000, "the record is torn");
  },
);

folderTest(
  "holdRecord() refuses a record that is torn at any place, and does not treat it as missing",
  async (folder) => {
    const text = JSON.stringify(record);
    for (let length = 0; length < text.length; length += 7) {
      await write(folder, text.slice(0, length));
      await assert.rejects(read(folder), (error: unknown) => {
        assert(error instanceof BootstrapError);
        return error.code === "malformed/cluster-record" && error.details["path"] === pathIn(folder) &&
          error.next.includes("backup");
      });
    }
  },
);

folderTest("holdRecord() refuses a record that does not fit this version, and names the key", async (folder) => {
  const cases: readonly (readonly [changes: Record<string, unknown>, key: string])[] = [
    [{ version: 2 }, "version"],
    [{ state: "gone" }, "state"],
    [{ clusterId: "ab" }, "clusterId"],
    [{ clusterId: "AB".repeat(32) }, "clusterId"],
    [{ identity: null }, "identity"],
    [{ operationId: "ef".repeat(17) }, "operationId"],
    [{ resetCount: "3" }, "resetCount"],
    [{ adminKeyPem: undefined }, "adminKeyPem"],
    [{ extra: 1 }, "extra"],
  ];
  for (const [changes, key] of cases) {
    await write(folder, JSON.stringify({ ...record, ...changes }));
    await assert.rejects(read(folder), {
      code: "malformed/cluster-record",
      details: { path: join(folder, "demo.json"), key },
    }, key);
  }
});

folderTest("holdRecord() names a path that cannot be opened", async (folder) => {
  await Deno.mkdir(join(folder, "demo.lock"), { recursive: true });
  await assert.rejects(read(folder), { code: "system/file", message: /demo\.lock/ });
  await assert.rejects(read(join(folder, "demo.lock", "x\0")), { code: "system/file" });
});

folderTest("holdRecord() reads a record without a reset counter", async (folder) => {
  const { resetCount: _, ...without } = record;
  await write(folder, JSON.stringify(without));
  assert.deepEqual(await read(folder), without);
});

folderTest("holdRecord() reads the largest record that an init can write", async (folder) => {
  const longest = '"\n'.repeat(32 * 1024);
  const large = { ...record, clusterDocument: longest, policyDocument: longest };
  {
    using held = await holdRecord(folder, "demo");
    await held.write(large);
  }
  assert.deepEqual(await read(folder), large);
});

folderTest("abandonCluster() keeps everything but the state and the key, and can be repeated", async (folder) => {
  await write(folder, JSON.stringify({ ...record, state: "founded" }));
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await abandonCluster(folder, "demo"), { ...record, state: "abandoned", adminKeyPem: "" });
    assert.deepEqual(await read(folder), { ...record, state: "abandoned", adminKeyPem: "" });
  }
});

folderTest("abandonCluster() refuses a name that is not recorded, and one that an init holds", async (folder) => {
  await assert.rejects(abandonCluster(folder, "demo"), { code: "precondition/no-cluster" });
  await assert.rejects(abandonCluster(join(folder, "none"), "demo"), { code: "precondition/no-cluster" });
  assert.ok(!await exists(folder), "an unknown name leaves nothing behind");
  await write(folder, JSON.stringify(record));
  using _held = await holdRecord(folder, "demo");
  await assert.rejects(abandonCluster(folder, "demo"), { code: "unavailable/cluster-record" });
});
