import assert from "node:assert/strict";
import type { NpmDependency } from "./npm_dependencies.ts";
import { type SbomInput, sbomText } from "./sbom.ts";

const library: NpmDependency = {
  ...{ name: "@scope/library", version: "1.2.3", sha512: "ab".repeat(64), license: "MIT" },
  ...{ licenseTexts: [], isImported: true, dependencies: ["leaf@2.0.0"] },
};
const leaf: NpmDependency = { ...library, name: "leaf", version: "2.0.0", isImported: false, dependencies: [] };
const input: SbomInput = {
  name: "bootstrapper",
  release: { version: "0.1.0~git1.abc", commit: "abc", epochSeconds: 1796106120 },
  ...{ architecture: "amd64", binary: "cd".repeat(32), deno: "2.9.5" },
  npm: new Map([["@scope/library@1.2.3", library], ["leaf@2.0.0", leaf]]),
};

Deno.test("sbomText() names version, licence, checksum and address of an npm package", () => {
  const { packages } = JSON.parse(sbomText(input));
  const [found] = packages.filter(({ name }: { name: string }) => name === library.name);
  assert.deepEqual(found.checksums, [{ algorithm: "SHA512", checksumValue: library.sha512 }]);
  assert.deepEqual([found.versionInfo, found.licenseDeclared], ["1.2.3", "MIT"]);
  assert.equal(found.externalRefs[0].referenceLocator, "pkg:npm/%40scope/library@1.2.3");
  assert.match(found.downloadLocation, /\/@scope\/library\/-\/library-1\.2\.3\.tgz$/);
});

Deno.test("sbomText() relates the program to what it imports, and that to what it depends on", () => {
  const { relationships, creationInfo } = JSON.parse(sbomText(input));
  const pairs = relationships.map((one: Record<string, string>) =>
    `${one["spdxElementId"]} ${one["relationshipType"]} ${one["relatedSpdxElement"]}`
  );
  assert.deepEqual(pairs, [
    "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Package-bootstrapper",
    "SPDXRef-Package-bootstrapper CONTAINS SPDXRef-Package-deno",
    "SPDXRef-Package-bootstrapper DEPENDS_ON SPDXRef-npm-scope-library-1.2.3",
    "SPDXRef-npm-scope-library-1.2.3 DEPENDS_ON SPDXRef-npm-leaf-2.0.0",
  ]);
  assert.equal(creationInfo.created, "2026-12-01T06:22:00Z");
});

Deno.test("sbomText() refuses a dependency that is not listed", () => {
  assert.throws(() => sbomText({ ...input, npm: new Map([["@scope/library@1.2.3", library]]) }), /leaf@2\.0\.0/);
});
