import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { CutEntries, type CutEntry } from "./cut_entries.ts";
import { CONFIG_MAPS, MemoryApi } from "./testing/memory_api.ts";

const UID = "2f7cf9a4-5f5e-4f0b-9a68-4fd9f8f2a6b1";
const ENTRY: CutEntry = { uid: UID, identity: "ab".repeat(32), nodeName: "node-1", epoch: 3, untilMs: 5_000 };

const entryArbitrary: fc.Arbitrary<CutEntry> = fc.record({
  uid: fc.uuid(),
  identity: fc.stringMatching(/^[0-9a-f]{64}$/),
  nodeName: fc.stringMatching(/^[a-z0-9]{1,20}$/),
  epoch: fc.integer({ min: 1, max: 999_999_999 }),
  untilMs: fc.nat(2 ** 42),
}, { noNullPrototype: true });

Deno.test("CutEntries lists what it created, each once, and nothing else of the namespace", async () => {
  await fc.assert(fc.asyncProperty(fc.uniqueArray(entryArbitrary, { selector: ({ uid }) => uid }), async (all) => {
    const api = new MemoryApi();
    const entries = new CutEntries(api);
    await api.create(CONFIG_MAPS, { metadata: { name: "node-x" }, data: {} }, {
      "~standard": { validate: (value) => ({ value }) },
    });
    for (const entry of [...all, ...all]) await entries.create(entry);
    const { entries: listed, unreadable } = await entries.list();
    assert.deepEqual(listed.map(({ stored: _, ...entry }) => entry), all);
    assert.deepEqual(unreadable, []);
    for (const entry of listed) await entries.remove(entry);
    assert.deepEqual((await entries.list()).entries, []);
  }));
});

Deno.test("CutEntries names ConfigMap and field of an entry that is not whole, and lists the others", async () => {
  const wrong: readonly (readonly [string, string | undefined])[] = [
    ...["version", "uid", "identity", "nodeName", "epoch", "until"].map((field) => [field, undefined] as const),
    ["version", "2"],
    ["uid", "x'] || true || g in ['"],
    ["uid", UID.toUpperCase()],
    ["uid", UID.replace("2", "3")],
    ["epoch", "0"],
    ["epoch", "-1"],
    ["until", "soon"],
    ["identity", "a".repeat(65)],
  ];
  for (const [field, value] of wrong) {
    const api = new MemoryApi();
    const entries = new CutEntries(api);
    await entries.create(ENTRY);
    await entries.create({ ...ENTRY, uid: UID.replace("2f", "3f") });
    const path = `${CONFIG_MAPS}/cut-${UID}`;
    const stored = api.objects.get(path);
    assert.ok(stored !== undefined);
    const { [field]: _, ...rest } = stored.data;
    api.objects.set(path, { ...stored, data: value === undefined ? rest : { ...rest, [field]: value } });
    const list = await entries.list();
    assert.equal(list.entries.length, 1);
    const [error] = list.unreadable;
    assert.ok(error instanceof BootstrapError && error.code === "malformed/cut-entry");
    assert.deepEqual(error.details, { configMap: `cut-${UID}`, field });
  }
});
