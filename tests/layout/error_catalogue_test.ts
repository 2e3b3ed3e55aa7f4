/** Each code of the catalogue is thrown by the program, and produced by a test or excused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { catalogueCode, ERROR_CATALOGUE } from "../../platform/errors/catalogue.ts";
import type { CatalogueCode } from "../../platform/errors/catalogue.ts";
import type { ErrorEntry } from "../../platform/errors/entry.ts";
import { repositoryRoot } from "../world.ts";
import { codesExpectedIn, codesThrownIn, textsIn } from "./error_codes.ts";
import { readImports } from "./imports.ts";

const CATALOGUE = Object.entries(ERROR_CATALOGUE) as readonly (readonly [CatalogueCode, ErrorEntry])[];

const files = [...(await readImports()).keys()].filter((file) => !/^proto\/|^tests\/(?:layout|demo)\//.test(file));
const isTest = (file: string) => /_test\.ts$|(?:^|\/)testing\/|^tests\//.test(file);
const read = (file: string) => Deno.readTextFile(join(repositoryRoot, file));
const tests = await Promise.all(files.filter(isTest).map(read));
const program = await Promise.all(
  files.filter((file) => !isTest(file) && !file.startsWith("platform/errors/")).map(read),
);

function known(codes: Iterable<string>): Set<CatalogueCode> {
  return new Set([...codes].flatMap((code) => catalogueCode(code) ?? []));
}

Deno.test("each code of the catalogue is thrown somewhere in the program", () => {
  const endings = new Set(program.flatMap((text) => [...textsIn(text)]));
  const thrown = known(program.flatMap((text) => [...codesThrownIn(text, endings)]));
  assert.deepEqual(CATALOGUE.filter(([code]) => !thrown.has(code)).map(([code]) => code), []);
});

Deno.test("each code of the catalogue is produced by some test, or its entry says why not", () => {
  const expected = known(tests.flatMap((text) => [...codesExpectedIn(text)]));
  const isExcused = ({ untested }: ErrorEntry) => untested !== undefined;
  assert.deepEqual(CATALOGUE.filter(([code, entry]) => !expected.has(code) && !isExcused(entry)), []);
  assert.deepEqual(CATALOGUE.filter(([code, entry]) => expected.has(code) && isExcused(entry)), []);
});

Deno.test("a throw site differs from the catalogue in whether time mends it only where the catalogue says why", () => {
  const site =
    /BootstrapError\(\s*"([a-z]+\/[a-z0-9-]+)",(?:(?!BootstrapError\().){0,400}?\bretriable: (?:true|false)/gs;
  const differing = program.flatMap((text) => [...text.matchAll(site)].map(([, code = ""]) => code))
    .filter((code) => CATALOGUE.every(([name, { sometimes }]) => name !== code || sometimes === undefined));
  assert.deepEqual(differing, []);
});

Deno.test("codesThrownIn() sees codes that are thrown whole or in parts, and none that are compared or commented on", () => {
  const text = [
    'throw new BootstrapError("system/file", "no");',
    "throw new BootstrapError(`refused/snp-${check}`);",
    'if (code === "usage/pcr" || hasCode(error, "usage/node")) return;',
    "/** Throws `usage/phase`. */",
  ].join("\n");
  const codes = codesThrownIn(text, new Set(["debug"]));
  for (const code of ["system/file", "refused/snp-debug"]) assert.ok(codes.has(code), code);
  for (const code of ["usage/pcr", "usage/node", "usage/phase"]) assert.ok(!codes.has(code), code);
});

Deno.test("codesExpectedIn() sees codes that are asserted, and none that the test makes or is named after", () => {
  const text = [
    'Deno.test("usage/pcr", () => {',
    '  const error = new BootstrapError("system/file", "no");',
    '  assert.equal(codeOf(run), "conflict/run");',
    "  assert.match(said, /timeout\\/peer/);",
    '  for (const check of ["debug"]) assert.equal(code, `refused/snp-${check}`);',
    "});",
  ].join("\n");
  const codes = codesExpectedIn(text);
  for (const code of ["conflict/run", "timeout/peer", "refused/snp-debug"]) assert.ok(codes.has(code), code);
  for (const code of ["usage/pcr", "system/file"]) assert.ok(!codes.has(code), code);
});
