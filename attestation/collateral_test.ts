import assert from "node:assert/strict";
import { join } from "node:path";
import { collateralFolder } from "./collateral.ts";

Deno.test("collateralFolder() finds a file by its name, and says where it was", async () => {
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

Deno.test("collateralFolder() finds nothing where there is no folder, and refuses names that lead elsewhere", async () => {
  const collateral = collateralFolder("/nonexistent");
  assert.equal(await collateral.find("a"), undefined);
  for (const name of ["", "..", ".hidden", "a/b", "../a", "A", "a".repeat(251)]) {
    await assert.rejects(collateral.find(name), { code: "internal/collateral" });
  }
});
