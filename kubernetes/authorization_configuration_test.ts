import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { ATTRIBUTE } from "../certificate/name.ts";
import { admittedNodeSubject, LARGEST_EPOCH } from "../certificate/subjects.ts";
import { BootstrapError } from "../platform/errors.ts";
import {
  authorizationConfiguration,
  type CutState,
  MOST_CUT,
  readAuthorizationConfiguration,
  readCutState,
  writeAuthorizationConfiguration,
} from "./authorization_configuration.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FILE = "authorization.yaml";
const uidOf = (number: number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
const uids = (count: number) => Array.from({ length: count }, (_, index) => uidOf(index));

const ascending = <T extends number | string>(values: readonly T[]) =>
  [...new Set(values)].sort((a, b) => a < b ? -1 : 1);
const stateArbitrary: fc.Arbitrary<CutState> = fc.record({
  epochs: fc.array(fc.integer({ min: 1, max: LARGEST_EPOCH }), { minLength: 1, maxLength: 16 }).map(ascending),
  cut: fc.array(fc.uuid(), { maxLength: 40 }).map(ascending),
}, { noNullPrototype: true });

Deno.test("readCutState() reads what writeAuthorizationConfiguration() writes", async () => {
  await withFolder(async (folder) => {
    assert.equal(await readCutState(folder), undefined);
    await fc.assert(
      fc.asyncProperty(stateArbitrary, async (state) => {
        await writeAuthorizationConfiguration(folder, state);
        assert.deepEqual(await readCutState(folder), state);
        assert.equal(await writeAuthorizationConfiguration(folder, state), false);
      }),
      { numRuns: 30 },
    );
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [FILE, "cut-list.kubeconfig"]);
  });
});

Deno.test("authorizationConfiguration() compares exactly the groups that a node's certificate has", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: LARGEST_EPOCH }), fc.uuid(), (epoch, admissionUid) => {
    const text = authorizationConfiguration({ epochs: [epoch], cut: [admissionUid] });
    const groups = admittedNodeSubject("node-1", { admissionUid, epoch })
      .filter(({ oid }) => oid === ATTRIBUTE.organization).map(({ value }) => value);
    const compared = [...text.matchAll(/'([a-z0-9:-]+)'/g)].map(([, group]) => group);
    assert.deepEqual(compared.sort(), [...groups].sort());
  }));
});

Deno.test("writeAuthorizationConfiguration() refuses what an API server could not load, and keeps the old file", async () => {
  await withFolder(async (folder) => {
    const good = { epochs: [1, 2], cut: uids(MOST_CUT) };
    await writeAuthorizationConfiguration(folder, good);
    const bad: readonly [string, CutState][] = [
      ["cut", { epochs: [1], cut: uids(MOST_CUT + 1) }],
      ["cut", { epochs: [1], cut: ["x'] || true || g in ['"] }],
      ["cut", { epochs: [1], cut: [uidOf(1).toUpperCase().replace("0", "A")] }],
      ["cut", { epochs: [1], cut: [`${uidOf(1)}\n`] }],
      ["cut", { epochs: [1], cut: [uidOf(2), uidOf(1)] }],
      ["cut", { epochs: [1], cut: [uidOf(1), uidOf(1)] }],
      ["epochs", { epochs: [], cut: [] }],
      ["epochs", { epochs: [0], cut: [] }],
      ["epochs", { epochs: [1.5], cut: [] }],
      ["epochs", { epochs: [2, 1], cut: [] }],
      ["epochs", { epochs: [1e9], cut: [] }],
      ["epochs", { epochs: Array.from({ length: 17 }, (_, index) => index + 1), cut: [] }],
    ];
    for (const [field, state] of bad) {
      await assert.rejects(writeAuthorizationConfiguration(folder, state), (error: unknown) => {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/cut-list", String(error));
        assert.equal(error.details["field"], field);
        return true;
      });
      assert.deepEqual(await readCutState(folder), good);
    }
    await assert.rejects(writeAuthorizationConfiguration(folder, { epochs: [1], cut: uids(MOST_CUT + 1) }), {
      message: "The cut list has 1000 entries; API servers load at most 999",
    });
  });
});

Deno.test("writeAuthorizationConfiguration() makes the webhook trust a certificate that no key is left of", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "cut-list.kubeconfig");
    await writeAuthorizationConfiguration(folder, { epochs: [1], cut: [] });
    const first = await Deno.readTextFile(path);
    assert.match(first, /server: https:\/\/127\.0\.0\.1:1\n/);
    assert.match(first, /certificate-authority-data: [A-Za-z0-9+/=]{300,}/);
    assert.doesNotMatch(first, /client-|token|insecure/);
    await writeAuthorizationConfiguration(folder, { epochs: [2], cut: [] });
    assert.equal(await Deno.readTextFile(path), first);
    // One that trusts whoever answers is replaced.
    await Deno.writeTextFile(path, first.replace(/certificate-authority-data: .*/, "insecure-skip-tls-verify: true"));
    await writeAuthorizationConfiguration(folder, { epochs: [3], cut: [] });
    assert.doesNotMatch(await Deno.readTextFile(path), /insecure/);
  });
});

Deno.test("readAuthorizationConfiguration() takes no text but the writer's own", async () => {
  await withFolder(async (folder) => {
    await writeAuthorizationConfiguration(folder, { epochs: [1], cut: uids(2) });
    const text = await Deno.readTextFile(join(folder, FILE));
    const changes: readonly [string | RegExp, string][] = [
      ["failurePolicy: Deny", "failurePolicy: NoOpinion"],
      ["type: RBAC", "type: AlwaysAllow"],
      ["!request", "request"],
      [" || ", " && "],
      ["'system:nodes' in", "'system:masters' in"],
      [/\n {2}- type: Node\n {4}name: node/, ""],
      [/authorizers:[^]*/, "authorizers: []\n"],
      ["kind:", "- kind:"],
    ];
    for (const [from, to] of changes) {
      const changed = text.replace(from, to);
      assert.notEqual(changed, text, String(from));
      assert.throws(() => readAuthorizationConfiguration(changed), { code: "malformed/cut-list" }, String(from));
    }
    assert.throws(() => readAuthorizationConfiguration("#".repeat(200_000)), { code: "malformed/cut-list" });
  });
});

Deno.test("readAuthorizationConfiguration() refuses or reads the same state when bytes are flipped", async () => {
  await withFolder(async (folder) => {
    await writeAuthorizationConfiguration(folder, { epochs: [1, 2], cut: uids(3) });
    const text = await Deno.readTextFile(join(folder, FILE));
    fc.assert(fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 126 }), (at, code) => {
      const flipped = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
      try {
        const { epochs, cut } = readAuthorizationConfiguration(flipped);
        assert.ok(epochs.length >= 1 && cut.every((uid) => /^[0-9a-f-]{36}$/.test(uid)));
      } catch (error) {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/cut-list", String(error));
      }
    }));
  });
});
