import assert from "node:assert/strict";
import { join } from "node:path";
import { KEPT_POLICY_FILE, KeptPolicy } from "./kept_policy.ts";

const ONE = new Uint8Array(32).fill(1);
const TWO = new Uint8Array(32).fill(2);

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await test(join(parent, "kept"));
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("KeptPolicy returns what was kept last, for its own cluster alone", () =>
  withFolder(async (folder) => {
    assert.equal(await new KeptPolicy(folder, ONE).read(), undefined);
    await new KeptPolicy(folder, ONE).keep("version: 1\n");
    await new KeptPolicy(folder, ONE).keep("version: 1 # newer\n");
    assert.equal(await new KeptPolicy(folder, ONE).read(), "version: 1 # newer\n");
    assert.equal(await new KeptPolicy(folder, TWO).read(), undefined);
    const { mode } = await Deno.stat(join(folder, KEPT_POLICY_FILE));
    assert.equal((mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("KeptPolicy refuses a file that it cannot read", () =>
  withFolder(async (folder) => {
    await new KeptPolicy(folder, ONE).keep("version: 1\n");
    const path = join(folder, KEPT_POLICY_FILE);
    const text = await Deno.readTextFile(path);
    for (const broken of ["", "{}", text.slice(0, -3), text.replace(":1", ":2"), text.replace("0101", "01zz")]) {
      await Deno.writeTextFile(path, broken);
      await assert.rejects(new KeptPolicy(folder, ONE).read(), { code: "malformed/kept-policy" });
    }
  }));
