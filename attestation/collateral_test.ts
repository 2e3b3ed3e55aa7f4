import assert from "node:assert/strict";
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import { type Collateral, collateralFolder, collateralInOrder } from "./collateral.ts";

Deno.test("collateralFolder() finds a file by its name, and returns its path", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(folder, "amd-milan-vcek.crl"), Uint8Array.of(1, 2));
    const collateral = collateralFolder(folder);
    assert.equal(collateral.place, folder);
    const file = await collateral.find("amd-milan-vcek.crl");
    assert.deepEqual(file, { bytes: Uint8Array.of(1, 2), source: join(folder, "amd-milan-vcek.crl") });
    assert.equal(await collateral.find("amd-genoa-vcek.crl"), undefined);
    await Deno.writeFile(join(folder, "large"), new Uint8Array((1 << 20) + 1));
    await assert.rejects(collateral.find("large"), { code: "malformed/size" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("collateralFolder() finds nothing when the folder is missing, and refuses names that lead elsewhere", async () => {
  const collateral = collateralFolder("/nonexistent");
  assert.equal(await collateral.find("a"), undefined);
  for (const name of ["", "..", ".hidden", "a/b", "../a", "A", "a".repeat(251)]) {
    await assert.rejects(collateral.find(name), { code: "internal/collateral" });
  }
});

Deno.test("collateralInOrder() returns the document of the first place that has it, and asks no other place", async () => {
  const asked: string[] = [];
  const placeWith = (place: string, ...names: readonly string[]): Collateral => ({
    place,
    find(name) {
      asked.push(`${place} ${name}`);
      return Promise.resolve(
        names.includes(name) ? { bytes: Uint8Array.of(1), source: `${place}/${name}` } : undefined,
      );
    },
  });
  const failing: Collateral = {
    place: "c",
    find: () => Promise.reject(new BootstrapError("unavailable/collateral", "it is down")),
  };
  const collateral = collateralInOrder(placeWith("a", "x"), placeWith("b", "x", "y"), failing, placeWith("d", "z"));
  assert.equal(collateral.place, "a, b, c, d");
  assert.equal((await collateral.find("x"))?.source, "a/x");
  assert.equal((await collateral.find("y"))?.source, "b/y");
  assert.deepEqual(asked, ["a x", "a y", "b y"]);
  await assert.rejects(collateral.find("z"), { code: "unavailable/collateral" });
  assert.equal(await collateralInOrder().find("x"), undefined);
  await assert.rejects(collateral.find("../x"), { code: "internal/collateral" });
});
