import assert from "node:assert/strict";
import { copyrightText } from "./copyright.ts";
import { npmDependencies } from "./npm_dependencies.ts";

const found = await npmDependencies();

Deno.test("npmDependencies() has what the program imports and what that needs, and nothing that only tests import", () => {
  const names = [...found.values()].map(({ name }) => name);
  for (const name of ["commander", "@grpc/grpc-js", "@grpc/proto-loader", "valibot"]) {
    assert.ok(names.includes(name), name);
  }
  for (const name of ["fast-check", "ajv"]) assert.ok(!names.includes(name), name);
});

Deno.test("npmDependencies() takes each checksum from deno.lock, and each licence from the package", () => {
  for (const { name, sha512, license, licenseTexts } of found.values()) {
    assert.match(sha512, /^[0-9a-f]{128}$/, name);
    assert.match(license, /^[A-Za-z0-9. -]+$/, name);
    assert.ok(licenseTexts.some((text) => text.length > 500), name);
  }
});

Deno.test("copyrightText() names each package and each holder, and repeats neither a text nor Debian's own licences", async () => {
  const text = await copyrightText(found.values());
  const texts: string[] = [];
  for (const { name, version, licenseTexts } of found.values()) {
    assert.ok(text.includes(`${name} ${version} (`), name);
    const own = licenseTexts.filter((one) => !one.includes("Apache License"));
    for (const one of own) assert.ok(text.includes(one), name);
    texts.push(...own);
  }
  assert.ok(texts.length > new Set(texts).size && text.length < texts.join("").length);
  assert.match(text, /Copyright 2018-\d{4} the Deno authors/);
  assert.match(text, /the V8 project authors/);
  assert.ok(!text.includes("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"));
});
