/** Checks that no code outside a kind's own folder depends on the kind. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { houseOf, readImports } from "../tests/layout/imports.ts";
import { repositoryRoot } from "../tests/world.ts";
import { defaultKind, type EvidenceKind, exclusivePair, kindNamed } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { NONE } from "./kinds/none/kind.ts";
import { SNP } from "./kinds/snp/kind.ts";
import { TDX } from "./kinds/tdx/kind.ts";
import { TPM } from "./kinds/tpm/kind.ts";

const NAMES = KINDS.map(({ name }) => name);
const OWN_FOLDER = "attestation/kinds/";
const LIST = "attestation/kinds.ts";

/** Lines that contain a kind's name but do not refer to the kind. */
const EXCEPTIONS: readonly { readonly file: string; readonly line: RegExp; readonly why: string }[] = [
  { file: "node/preflight.ts", line: /name: "tpm"/, why: "a preflight check, whose name refusals show" },
  { file: "attestation/kind.ts", line: /readonly tpm\?: TpmTransport/, why: "a device of the machine" },
  { file: "cli/machine.ts", line: /present\("tpm", tpm\)/, why: "that device" },
  { file: "certificate/_openssh_key.ts", line: /^const NONE = "none";$/, why: "OpenSSH's name for no cipher" },
  { file: "join/proposal.ts", line: /^ +"none",$/, why: "what a refusal has seen: nothing" },
  { file: "node/membership.ts", line: /"a lock", "none", \{$/, why: "what was seen: nothing" },
];
/** The text "none" as the output for an absent value. */
const NOTHING = /(?:\?\?|\|\|) "none"/g;

const graph = await readImports();
const isOfProgram = (file: string) =>
  !["tests", "deploy", "proto"].includes(houseOf(file)) && !file.endsWith("_test.ts") && !file.includes("/testing/") &&
  !file.startsWith(OWN_FOLDER);
const files = [...graph.keys()].filter(isOfProgram);

/** Returns the lines of code that name one of these kinds: in quotes, alone or before a hyphen, or as a key. */
function placesOf(names: readonly string[], text: string): readonly string[] {
  const name = `(?:${names.join("|")})`;
  const quoted = new RegExp(`["'\`]${name}["'\`+-]`);
  const key = new RegExp(`(?:\\.${name}\\b|(?<!["'\`\\w])${name}\\??:)`);
  return text.split("\n").filter((line) => !/^\s*(?:\/\*\*|\*|\/\/)/.test(line)).filter((line) => {
    const code = line.replaceAll(NOTHING, "");
    return quoted.test(code) || key.test(code);
  });
}

Deno.test("no file outside a kind's own folder names the kind", async () => {
  const used = new Set<RegExp>();
  const wrong: string[] = [];
  for (const file of files) {
    for (const line of placesOf(NAMES, await Deno.readTextFile(join(repositoryRoot, file)))) {
      const exception = EXCEPTIONS.find((one) => one.file === file && one.line.test(line));
      if (exception === undefined) wrong.push(`${file}: ${line.trim()}`);
      else used.add(exception.line);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(EXCEPTIONS.filter(({ line }) => !used.has(line)), [], "an exception that is no longer needed");
});

Deno.test("placesOf() finds comparisons, cases, keys and codes, and ignores comments and none for an absent value", () => {
  const found = ['if (variant === "tpm") {', "case 'snp':", "return shown.tdx;", "  tpm?: 1,", '"tdx-mrconfigid",'];
  for (const line of found) assert.deepEqual(placesOf(NAMES, line), [line]);
  const passed = [' * As `variant: "tpm"` says.', "// tpm: no", 'usages.join() || "none"', "tpmIssuer.snpX", '"tpmfs"'];
  for (const line of passed) assert.deepEqual(placesOf(NAMES, line), []);
});

/**
 * The modules of a kind that other code may load: devices, and the types of endorsement keys, which are an option of
 * commands.
 */
const OPEN_TO_OTHERS: readonly string[] = [
  `${OWN_FOLDER}tpm/templates.ts`,
  `${OWN_FOLDER}tpm/transport.ts`,
  `${OWN_FOLDER}tdx/rtmr.ts`,
];

Deno.test("only the list loads a kind, and only a kind loads its own modules", () => {
  const wrong = files.filter((file) => file !== LIST).flatMap((file) =>
    (graph.get(file) ?? []).filter((other) => other.startsWith(OWN_FOLDER) && !OPEN_TO_OTHERS.includes(other))
      .map((other) => `${file} imports ${other}`)
  );
  // PCR 11 is read on every machine that has a TPM, whatever kinds it is configured with.
  assert.deepEqual(wrong, ["cli/machine.ts imports attestation/kinds/tpm/issuer.ts"]);
});

Deno.test("no kind loads a module of another", () => {
  const folderOf = (file: string) => file.slice(OWN_FOLDER.length).split("/")[0];
  const wrong = [...graph].filter(([file]) => file.startsWith(OWN_FOLDER) && !file.endsWith("_test.ts"))
    .flatMap(([file, imported]) =>
      imported.filter((other) => other.startsWith(OWN_FOLDER) && folderOf(other) !== folderOf(file))
        .map((other) => `${file} imports ${other}`)
    );
  assert.deepEqual(wrong, []);
});

Deno.test("KINDS has unique names in the form of evidence, and none of them is a key of policies", () => {
  assert.equal(new Set(NAMES).size, NAMES.length);
  const taken = ["version", "variant", "sections", "collateral", "roles", "names"];
  assert.ok(NAMES.every((name) => /^[a-z]{2,16}$/.test(name) && !taken.includes(name)));
  assert.equal(defaultKind(KINDS), TPM);
});

Deno.test("kindNamed() and defaultKind() find no kind by chance", () => {
  assert.equal(kindNamed(KINDS, "snp"), SNP);
  for (const name of ["", "sgx", "tpm+snp", "TPM", "constructor"]) {
    assert.throws(() => kindNamed(KINDS, name), { code: "internal/evidence" });
  }
  assert.throws(() => defaultKind([]), { code: "internal/evidence" });
});

Deno.test("exclusivePair() finds two kinds of which a machine can have only one", () => {
  const pairs: readonly [readonly EvidenceKind[], readonly EvidenceKind[] | undefined][] = [
    [[], undefined],
    [[TPM, SNP], undefined],
    [[TPM, TDX, NONE], undefined],
    [[TDX, TPM, SNP], [TDX, SNP]],
  ];
  for (const [kinds, pair] of pairs) assert.deepEqual(exclusivePair(kinds), pair);
});
