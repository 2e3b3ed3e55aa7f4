/** A founder that is killed before and after each file operation signs one roster only. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makePledge } from "../../../founding/pledge.ts";
import { makeFounder, type TestFounder } from "../../../founding/testing/founder.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { repositoryRoot } from "../../world.ts";

const MOST_KILLS = 200;
const SIGKILL = 128 + 9;

/** Writes a roster's entries, and the pledges of all but the first founder. */
async function writeRoster(path: string, founders: readonly TestFounder[]): Promise<void> {
  const entries = founders.map(({ entry }) => entry);
  const pledges = await Promise.all(
    founders.slice(1).map(async ({ keys }) => {
      const folder = await Deno.makeTempDir();
      const { own } = await makePledge(entries, {
        folder,
        keys,
        trustDigest: new Uint8Array(32),
        size: founders.length,
      });
      await Deno.remove(folder, { recursive: true });
      return { key: own.key, signature: own.signature.toBase64() };
    }),
  );
  const written = entries.map((entry) => ({ ...entry, certificate: entry.certificate.toBase64() }));
  await Deno.writeTextFile(path, JSON.stringify(written));
  await Deno.writeTextFile(`${path}.pledges`, JSON.stringify(pledges));
}

async function pledge(folder: string, roster: string, kill: number): Promise<number> {
  const program = join(repositoryRoot, "tests/integration/founding/pledge_process.ts");
  const [deno, ...run] = DENO_RUN;
  const { code, stderr } = await new Deno.Command(deno, {
    args: [...run, "--no-check", "--quiet", program, folder, roster, String(kill)],
    cwd: repositoryRoot,
  }).output();
  assert.ok(code === 0 || code === SIGKILL, new TextDecoder().decode(stderr));
  return code;
}

/** The rosters that were signed, or fixed. */
async function rostersIn(path: string): Promise<Set<string>> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return new Set(text.split("\n").filter((line) => line !== ""));
}

Deno.test("a founder that is killed at any file operation signs one roster, and fixes it when it is started again", async () => {
  const root = await Deno.makeTempDir({ prefix: "pledge-crash-" });
  try {
    const [a, b, c, d] = await Promise.all(
      ["a", "b", "c", "d"].map((name, index) => makeFounder(name, `10.0.0.${index + 1}:9444`)),
    );
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
    const [first, second] = [join(root, "first"), join(root, "second")];
    await writeRoster(first, [a, b, c]);
    await writeRoster(second, [a, b, d]);
    let kills = 0;
    for (let kill = 1; kill < MOST_KILLS; kill++) {
      const folder = join(root, `kill-${kill}`);
      await Deno.mkdir(folder);
      await Deno.writeTextFile(join(folder, "key.pem"), a.keyPem, { mode: 0o600 });
      if (await pledge(folder, first, kill) === 0) break;
      kills++;
      // Meanwhile the view has changed. If nothing was pledged, that is what it pledges.
      assert.equal(await pledge(folder, second, 0), 0);
      const signed = await rostersIn(join(folder, "signed"));
      assert.equal(signed.size, 1, `kill ${kill}: ${[...signed].join(", ")}`);
      assert.equal(await pledge(folder, first, 0), 0);
      const all = await rostersIn(join(folder, "signed"));
      assert.deepEqual(all, signed, `kill ${kill}`);
      assert.deepEqual(await rostersIn(join(folder, "fixed")), signed, `kill ${kill}`);
      const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();
      assert.deepEqual(names, ["fixed", "key.pem", "pledge", "roster", "signed"], `kill ${kill}`);
    }
    assert.ok(kills > 10, `${kills} kills`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
