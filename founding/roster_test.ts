import { deepEqual, equal, rejects } from "node:assert/strict";
import { join } from "node:path";
import * as fc from "fast-check";
import { searchRoster } from "../tests/protocol/roster_search.ts";
import { decodePledge, decodeRoster, encodePledge, encodeRoster, type FounderPledge } from "./_roster_files.ts";
import { makePledge, PLEDGE_FILE, type PledgeParts, readPledge } from "./pledge.ts";
import { Roster, ROSTER_FILE } from "./roster.ts";
import { founderFolder } from "./testing/folder.ts";
import { makeFounder, type TestFounder } from "./testing/founder.ts";

const TRUST = new Uint8Array(32).fill(1);

async function trio(): Promise<readonly [TestFounder, TestFounder, TestFounder]> {
  return await Promise.all([
    makeFounder("a", "10.0.0.1:9444"),
    makeFounder("b", "10.0.0.2:9444"),
    makeFounder("c", "10.0.0.3:9444"),
  ]);
}

function partsOf({ keys }: TestFounder, folder: string, size = 3): PledgeParts {
  return { folder, keys, trustDigest: TRUST, size };
}

Deno.test("makePledge() writes the entries before it signs, and readPledge() signs the same roster again", async () => {
  await using folder = await founderFolder();
  const founders = await trio();
  const entries = founders.map(({ entry }) => entry);
  const parts = partsOf(founders[0], folder.path);
  equal(await readPledge(parts), undefined);
  const pledge = await makePledge(entries, parts);
  deepEqual(pledge.founders.map(({ key }) => key), pledge.founders.map(({ key }) => key).toSorted());
  const again = await readPledge(parts);
  deepEqual(again?.roster, pledge.roster);
  deepEqual((await makePledge(entries.toReversed(), parts)).roster, pledge.roster);
  equal(((await Deno.stat(join(folder.path, PLEDGE_FILE))).mode ?? 0) & 0o777, 0o600);
});

Deno.test("makePledge() refuses a second roster, another size, and a roster without its key", async () => {
  await using folder = await founderFolder();
  const [a, b, c] = await trio();
  const other = await makeFounder("d", "10.0.0.4:9444");
  const parts = partsOf(a, folder.path);
  await rejects(makePledge([b.entry, c.entry, other.entry], parts), { code: "malformed/founder-file" });
  await rejects(makePledge([a.entry, b.entry], parts), { code: "malformed/founder-file" });
  equal(await readPledge(parts), undefined);
  await makePledge([a.entry, b.entry, c.entry], parts);
  await rejects(makePledge([a.entry, b.entry, other.entry], parts), { code: "conflict/pledge" });
  await rejects(readPledge({ ...parts, size: 2 }), { code: "malformed/founder-file" });
  await rejects(readPledge(partsOf(other, folder.path)), { code: "malformed/founder-file" });
});

Deno.test("makePledge() refuses two founders of one name, address or identity", async () => {
  await using folder = await founderFolder();
  const [a, b] = await trio();
  for (const field of ["identity", "name", "address"] as const) {
    const twin = { ...b.entry, [field]: a.entry[field] };
    await rejects(makePledge([a.entry, twin], partsOf(a, folder.path, 2)), { code: "malformed/founder-file" });
  }
});

Deno.test("Roster.hear() fixes the roster with the last pledge, and Roster.open() verifies the file", async () => {
  await using folder = await founderFolder();
  const founders = await trio();
  const entries = founders.map(({ entry }) => entry);
  const pledges: FounderPledge[] = [];
  for (const founder of founders.slice(1)) {
    await using other = await founderFolder();
    pledges.push((await makePledge(entries, partsOf(founder, other.path))).own);
  }
  const pledge = await makePledge(entries, partsOf(founders[0], folder.path));
  const roster = await Roster.open(folder.path, pledge);
  const [first, second] = pledges;
  const forged = { key: first?.key ?? "", signature: second?.signature ?? new Uint8Array(64) };
  equal((await roster.hear([forged])).refused.length, 1);
  equal((await roster.hear([{ key: "00".repeat(32), signature: new Uint8Array(64) }])).refused.length, 0);
  equal((await roster.hear(pledges.slice(0, 1))).added.length, 1);
  deepEqual([roster.isFixed, roster.missing.length], [false, 1]);
  await roster.hear(pledges);
  deepEqual([roster.isFixed, roster.pledges.length], [true, 3]);
  equal((await Roster.open(folder.path, pledge)).isFixed, true);
  const path = join(folder.path, ROSTER_FILE);
  const bytes = await Deno.readFile(path);
  const broken = decodeRoster(bytes, "roster");
  for (
    const change of [
      { ...broken, pledges: broken.pledges.filter(({ key }) => key !== first?.key) },
      { ...broken, roster: TRUST },
      { ...broken, pledges: broken.pledges.map(({ key }) => ({ key, signature: new Uint8Array(64) })) },
    ]
  ) {
    await Deno.writeFile(path, encodeRoster(change));
    await rejects(Roster.open(folder.path, pledge), { code: "malformed/founder-file" });
  }
});

Deno.test("two rosters with an honest key in common are not both fixed, in the steps of the search's counterexample", async () => {
  const { counterexample } = searchRoster({ honest: 2, fixesOnReports: true });
  equal(counterexample?.steps.length, 14);
  // A sees the second clone, B the first one: each has heard that the other sees the same.
  const [a, b, c1] = await trio();
  const c2 = await makeFounder("c", "10.0.0.3:9444");
  const clone = { ...c2, entry: { ...c2.entry, identity: c1.entry.identity } };
  await using folders = new AsyncDisposableStack();
  const folderOf = async () => folders.use(await founderFolder()).path;
  const [first, second] = [[a, b, c1], [a, b, clone]].map((roster) => roster.map(({ entry }) => entry));
  const folderA = await folderOf();
  const pledgeA = await makePledge(second ?? [], partsOf(a, folderA));
  const pledgeB = await makePledge(first ?? [], partsOf(b, await folderOf()));
  const pledge1 = await makePledge(first ?? [], partsOf(c1, await folderOf()));
  const pledge2 = await makePledge(second ?? [], partsOf(clone, await folderOf()));
  await rejects(makePledge(first ?? [], partsOf(a, folderA)), { code: "conflict/pledge" });
  const all = [pledgeA, pledgeB, pledge1, pledge2];
  for (const pledge of all) {
    const roster = await Roster.open(await folderOf(), pledge);
    const { refused } = await roster.hear(all.map(({ own }) => own));
    equal(roster.isFixed, false);
    equal(refused.length, 1, "the honest key that pledged the other roster");
  }
});

Deno.test("the files of a pledge and of a roster are read as they were written, and no changed byte is misread", async () => {
  const [a, b] = await trio();
  const entries = [a.entry, b.entry];
  deepEqual(decodePledge(encodePledge(entries), "pledge"), entries.map((entry) => ({ ...entry })));
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 64, maxLength: 64 }),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    (signature, key) => {
      const record = { roster: TRUST, pledges: [{ key: key.toHex(), signature: new Uint8Array(signature) }] };
      deepEqual(decodeRoster(encodeRoster(record), "roster"), record);
    },
  ));
  const bytes = encodeRoster({ roster: TRUST, pledges: [{ key: "ab".repeat(32), signature: new Uint8Array(64) }] });
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.with(at, (bytes[at] ?? 0) ^ 1);
    try {
      const { pledges } = decodeRoster(changed, "roster");
      equal(pledges[0]?.signature.length, 64);
    } catch (error) {
      equal(Reflect.get(Object(error), "code"), "malformed/founder-file", String(error));
    }
  }
});
