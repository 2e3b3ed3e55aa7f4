import assert from "node:assert/strict";
import { join } from "node:path";
import type { Bytes } from "../../platform/bytes.ts";
import { errorOf } from "../testing/evidence.ts";
import { systemTsmFiles } from "./files.ts";
import { readTsmReport, type TsmRequest } from "./report.ts";
import { createFakeTsm, type FakeTsm } from "./testing/tsm.ts";

const reportData: Bytes = new Uint8Array(64).fill(7);
const request: TsmRequest = { provider: "sev_guest", reportData, privilegeLevel: 0 };

function fakeOf(changes: Partial<FakeTsm> = {}) {
  return createFakeTsm({
    provider: "sev_guest",
    privilegeFloor: 0,
    answer: (data) => Promise.resolve({ outblob: data, auxblob: Uint8Array.of(1) }),
    ...changes,
  });
}

Deno.test("readTsmReport() returns the report over the data, and leaves no entry", async () => {
  const files = fakeOf();
  const report = await readTsmReport(request, files);
  assert.deepEqual(report, { outblob: reportData, auxblob: Uint8Array.of(1) });
  assert.equal(files.all.size, 0);
});

Deno.test("readTsmReport() works without privilege levels and without an auxblob", async () => {
  const answer = (outblob: Bytes) => Promise.resolve({ outblob });
  const files = createFakeTsm({ provider: "tdx_guest", answer });
  const { auxblob } = await readTsmReport({ provider: "tdx_guest", reportData }, files);
  assert.equal(auxblob.length, 0);
});

Deno.test("readTsmReport() separates simultaneous requests", async () => {
  const files = fakeOf();
  const all = Array.from({ length: 20 }, (_, index) => new Uint8Array(64).fill(index));
  const reports = await Promise.all(all.map((data) => readTsmReport({ ...request, reportData: data }, files)));
  assert.deepEqual(reports.map(({ outblob }) => outblob), all);
  assert.equal(files.all.size, 0);
});

/** The failure, the fake kernel's behaviour, and the code of the error. */
const FAILURES: readonly [what: string, changes: Partial<FakeTsm>, code: string][] = [
  ["another provider", { provider: "tdx_guest" }, "precondition/tsm-provider"],
  ["a higher floor", { privilegeFloor: 2 }, "precondition/tsm-privilege-level"],
  ["a write by another process before the report is read", {
    beforeRead: (attribute, entry) =>
      void (attribute === "generation" && entry.inblob.length > 0 && entry.generation++),
  }, "system/tsm-generation"],
  ["a write by another process while the report is read", {
    beforeRead: (attribute, entry) => void (attribute === "outblob" && entry.generation++),
  }, "system/tsm-generation"],
  ["a failing device", { answer: () => Promise.reject(new Error("EIO")) }, "system/tsm"],
];

for (const [what, changes, code] of FAILURES) {
  Deno.test(`readTsmReport() fails with ${what}, and leaves no entry`, async () => {
    const files = fakeOf(changes);
    assert.equal((await errorOf(() => readTsmReport(request, files))).code, code);
    assert.equal(files.all.size, 0);
  });
}

Deno.test("readTsmReport() detects by the generation that the kernel refused the report data", async () => {
  const files = fakeOf();
  const { write } = files;
  files.write = (name, attribute, bytes) => write(name, attribute, attribute === "inblob" ? bytes.slice(1) : bytes);
  assert.equal((await errorOf(() => readTsmReport(request, files))).code, "system/tsm-generation");
});

Deno.test("readTsmReport() refuses report data of any other length", async () => {
  for (const length of [0, 32, 63, 65]) {
    const error = await errorOf(() => readTsmReport({ ...request, reportData: new Uint8Array(length) }, fakeOf()));
    assert.equal(error.code, "internal/report-data");
  }
});

Deno.test("readTsmReport() removes the entries of killed processes, and no others", async () => {
  const files = fakeOf();
  const [left, others] = [
    ["bootstrapper-99-0123456789abcdef"],
    ["bootstrapper-1-0123456789abcdef", "bootstrapper-4711-0123456789abcdef", "another", "bootstrapper-99-x"],
  ];
  for (const name of [...left, ...others]) await files.makeEntry(name);
  await readTsmReport(request, files);
  assert.deepEqual([...files.all.keys()], others);
});

Deno.test("readTsmReport() throws precondition/tsm when the kernel does not have the interface", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const error = await errorOf(() => readTsmReport(request, systemTsmFiles(join(folder, "absent"))));
    assert.equal(error.code, "precondition/tsm");
    // In a folder that is not configfs, entries have no attributes.
    const empty = await errorOf(() => readTsmReport(request, systemTsmFiles(folder)));
    assert.equal(empty.code, "system/tsm");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("systemTsmFiles() reads and writes attributes of an entry, and knows the running processes", async () => {
  const folder = await Deno.makeTempDir();
  const processes = await Deno.makeTempDir();
  try {
    const files = systemTsmFiles(folder, processes);
    await Deno.mkdir(join(processes, String(files.processId)));
    await files.makeEntry("one");
    assert.deepEqual(await files.entries(), ["one"]);
    await assert.rejects(files.makeEntry("one"));
    assert.equal(await files.read("one", "outblob", 10), undefined);
    // Only the kernel creates attributes; a write does not.
    await assert.rejects(files.write("one", "inblob", reportData));
    await Deno.writeFile(join(folder, "one", "inblob"), new Uint8Array());
    await files.write("one", "inblob", reportData);
    assert.deepEqual(await files.read("one", "inblob", 64), reportData);
    await Deno.remove(join(folder, "one", "inblob"));
    await files.removeEntry("one");
    assert.deepEqual(await files.entries(), []);
    assert.equal(await files.isRunning(files.processId), true);
    assert.equal(await files.isRunning(2 ** 30), false);
  } finally {
    await Deno.remove(processes, { recursive: true });
    await Deno.remove(folder, { recursive: true });
  }
});
