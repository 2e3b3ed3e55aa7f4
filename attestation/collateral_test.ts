import assert from "node:assert/strict";
import { join } from "node:path";
import { writePem } from "../certificate/pem.ts";
import { base64, concat, hex, utf8 } from "../platform/bytes.ts";
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

Deno.test("collateralFolder() reads certificates, revocation lists and chains in every form, and names the file of another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const der = concat(Uint8Array.of(0x30, 0x81, 0xc8), new Uint8Array(200));
    const pem = (label: string) => `-----BEGIN ${label}-----\n${base64(der)}\n-----END ${label}-----\n`;
    const chain = `${writePem("CERTIFICATE", der)}${writePem("CERTIFICATE", der)}`;
    const collateral = collateralFolder(folder);
    const read = async (name: string, text: string) => {
      await Deno.writeTextFile(join(folder, name), text);
      return (await collateral.find(name))?.bytes;
    };
    for (const text of [pem("X509 CRL"), base64(der), hex(der), hex(der).toUpperCase()]) {
      assert.deepEqual(await read("tdx-root.crl", text), der);
    }
    assert.deepEqual(await read("amd-vcek-1-2.der", pem("CERTIFICATE")), der);
    for (const text of [chain, chain.replaceAll("\n", "\r\n"), encodeURIComponent(chain), encodeURI(chain.trim())]) {
      assert.deepEqual(await read("tdx-qe-identity.pem", text), utf8(chain));
    }
    for (const text of ["-----BEGIN%20CERTIFICATE-----%zz", "{}"]) {
      assert.deepEqual(await read("tdx-qe-identity.pem", text), utf8(text));
    }
    await assert.rejects(read("tdx-root.crl", pem("CERTIFICATE")), {
      code: "malformed/document-form",
      message: `Cannot read ${join(folder, "tdx-root.crl")} as a revocation list: it is PEM of a CERTIFICATE`,
    });
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
