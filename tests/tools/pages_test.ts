/** The pages: they are short where they promise it, they lead somewhere, and they know each command. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import type { AnyCommand } from "../../cli/command.ts";
import { COMMANDS } from "../../cli/commands.ts";
import { parts } from "../full/parts.ts";
import { catalogueCode } from "../../platform/errors/catalogue.ts";
import { ERROR_FAMILIES } from "../../platform/errors/entry.ts";
import { declares } from "../protocol/references.ts";
import { repositoryRoot } from "../world.ts";

const MAXIMUM_README_LINES = 150;
/** Pages whose paths in backticks must exist. */
const PAGES_WITH_PATHS = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
const LEFT_OUT = new Set([".git", "dist", "node_modules"]);
const PATH = /^(?:\.ci|[\w-]+)(?:\/[\w.*-]+)+\/?$/;
/** What a path has at its end where its first folder does not say already that it is one. */
const PATH_END = /(?:\/|\.(?:ts|md|json|proto|pvc|ya?ml|service|txt))$/;

function read(file: string): Promise<string> {
  return Deno.readTextFile(join(repositoryRoot, file));
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(repositoryRoot, folder)));
  const nested = entries.filter(({ name }) => !LEFT_OUT.has(name)).map(({ name, isDirectory }) => {
    const path = normalize(join(folder, name));
    return isDirectory ? filesIn(path) : Promise.resolve([path]);
  });
  return (await Promise.all(nested)).flat();
}

const files = await filesIn(".");
const pages = files.filter((file) => file.endsWith(".md")).toSorted();
/** Names of parts of the long tests, which look like paths. */
const partNames = new Set(parts(0).map(({ name }) => name));
const folders = new Set(files.flatMap(foldersOf));

/** All folders that a file is in. */
function foldersOf(file: string): string[] {
  const parts = file.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** A page without its blocks of code, in which nothing is a link. */
function proseOf(page: string): string {
  return page.replaceAll(/^```.*?^```$/gms, "");
}

/** Where the links of a page lead, without those to the web. */
function linksOf(page: string): string[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, "");
  const inline = [...prose.matchAll(/\]\(([^()\s]+)\)/g)];
  const definitions = [...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)];
  return [...inline, ...definitions].flatMap(([, target]) => target === undefined ? [] : [target])
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The names that a page's references use, `[text][name]`, and those that it defines. */
function referencesOf(page: string): { readonly used: Set<string>; readonly defined: Set<string> } {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, "");
  const names = (pattern: RegExp) => new Set([...prose.matchAll(pattern)].map(([, name = ""]) => name));
  return { used: names(/\]\[([^\]]+)\]/g), defined: names(/^\[([^\]]+)\]: /gm) };
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = text.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What is wrong with a page's links, one text a link. */
async function brokenLinks(file: string): Promise<string[]> {
  const page = await read(file);
  const wrong: string[] = [];
  for (const link of linksOf(page)) {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : normalize(join(dirname(file), path)).replace(/\/$/, "");
    if (!files.includes(target) && !folders.has(target)) wrong.push(`${file}: ${link} leads to no file`);
    else if (anchor !== undefined && !anchorsOf(await read(target)).has(anchor)) {
      wrong.push(`${file}: ${link} leads to no heading`);
    }
  }
  const { used, defined } = referencesOf(page);
  for (const name of used) if (!defined.has(name)) wrong.push(`${file}: [${name}] is not defined`);
  for (const name of defined) if (!used.has(name)) wrong.push(`${file}: [${name}] is not used`);
  return wrong;
}

/** The paths that a page has in backticks. A folder in capitals, as in `kinds/NAME/`, stands for any name. */
function pathsOf(page: string): string[] {
  const spans = [...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
  const isOfRoot = (path: string) => folders.has(path.split("/")[0] ?? "") && !partNames.has(path);
  return spans.filter((span) => PATH.test(span) && (PATH_END.test(span) || isOfRoot(span)));
}

function exists(path: string): boolean {
  const name = path.replace(/\/$/, "");
  if (folders.has(name) || (!path.endsWith("/") && files.includes(name))) return true;
  const pattern = name.split("/").map((part) =>
    part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll(/\*|\b[A-Z]{2,}(?=\b|_)/g, "[^/]+")
  ).join("/");
  const isLike = new RegExp(`^${pattern}$`);
  return path.endsWith("/")
    ? [...folders].some((folder) => isLike.test(folder))
    : files.some((file) => isLike.test(file));
}

Deno.test("README.md fits a screen and a half", async () => {
  const lines = (await read("README.md")).trimEnd().split("\n").length;
  assert.ok(lines <= MAXIMUM_README_LINES, `README.md has ${lines} lines, and may have ${MAXIMUM_README_LINES}`);
});

Deno.test("each relative link of a page leads to a file, and to a heading where it names one", async () => {
  assert.ok(pages.includes("README.md") && pages.includes("docs/operate.md"), pages.join());
  assert.deepEqual((await Promise.all(pages.map(brokenLinks))).flat(), []);
});

for (const file of PAGES_WITH_PATHS) {
  Deno.test(`each path in backticks of ${file} exists`, async () => {
    const paths = pathsOf(await read(file));
    assert.ok(paths.length > 20, `${paths.length} paths`);
    assert.deepEqual(paths.filter((path) => !exists(path)), []);
  });
}

for (const file of PAGES_WITH_PATHS) {
  Deno.test(`each function in backticks of ${file} is declared somewhere`, async () => {
    const spans = [...proseOf(await read(file)).matchAll(/`(\w+)\(\)`/g)];
    const names = new Set(spans.map(([, name = ""]) => name));
    const sources = await Promise.all(files.filter((path) => path.endsWith(".ts")).map(read));
    assert.deepEqual([...names].filter((name) => !sources.some((source) => declares(source, name))), []);
  });
}

Deno.test("ARCHITECTURE.md has each message of the exchanges", async () => {
  const architecture = await read("ARCHITECTURE.md");
  const contract = await read("proto/bootstrapper.proto");
  const messages = [...contract.matchAll(/oneof message \{([^}]*)\}/g)]
    .flatMap(([, fields = ""]) => [...fields.matchAll(/^ +([A-Z]\w+) \w+ = \d+;/gm)].map(([, name = ""]) => name));
  assert.ok(messages.includes("InitHello") && messages.includes("SignedJoinTicket"), messages.join());
  assert.deepEqual(messages.filter((name) => !architecture.includes(`\`${name}\``)), []);
});

Deno.test("each error code that a page names is in the catalogue", async () => {
  const families = Object.keys(ERROR_FAMILIES).join("|");
  const wrong: string[] = [];
  for (const file of pages) {
    const codes = [...proseOf(await read(file)).matchAll(new RegExp(`\`((?:${families})/[a-z0-9-]+)\``, "g"))];
    for (const [, code = ""] of codes) {
      if (!partNames.has(code) && catalogueCode(code) === undefined) wrong.push(`${file}: ${code}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("docs/operate.md names each command", async () => {
  const operate = await read("docs/operate.md");
  const visible = COMMANDS.filter(({ isHidden = false }) => !isHidden);
  const isNamed = ({ name }: AnyCommand) => new RegExp(`\\bbootstrapper ${name}(?![\\w-])`).test(operate);
  assert.deepEqual(visible.filter((command) => !isNamed(command)).map(({ name }) => name), []);
});

Deno.test("linksOf() finds links and definitions, and none in code or to the web", () => {
  const page = "[a](a.md#b) `[c](c.md)` [d](https://d) [e][f]\n\n[f]: f.md\n\n```text\n[g](g.md)\n```\n";
  assert.deepEqual(linksOf(page), ["a.md#b", "f.md"]);
  assert.deepEqual(referencesOf(page), { used: new Set(["f"]), defined: new Set(["f"]) });
});

Deno.test("anchorsOf() makes anchors as GitHub does", () => {
  const page = "# What runs where, and how long\n## `a` & b\n## [c](d.md)\n## c\n```\n# no heading\n```\n";
  assert.deepEqual([...anchorsOf(page)], ["what-runs-where-and-how-long", "a--b", "c", "c-1"]);
});

Deno.test("pathsOf() finds files and folders of the repository, and no codes, options or paths of a node", () => {
  const paths = ["`cli/none.ts`", "`none/a.ts`", "`tests/x/`", "`.ci/run`", "`tests/none`"].join(" ");
  assert.deepEqual(pathsOf(paths), ["cli/none.ts", "none/a.ts", "tests/x/", ".ci/run", "tests/none"]);
  assert.deepEqual(pathsOf("`refused/pcr-4` `/etc/a.yaml` `a_test.ts` `deno task x/y` `protocol/1-of-4`"), []);
});

Deno.test("exists() knows files and folders, and names in capitals that stand for any", () => {
  for (const path of ["README.md", "tests/tools/", "attestation/kinds/NAME/verifier.ts", "tests/e2e/*_test.ts"]) {
    assert.ok(exists(path), path);
  }
  for (const path of ["tests/tools/none.ts", "tests/none/", "attestation/kinds/NAME/none.ts", "README.md/"]) {
    assert.ok(!exists(path), path);
  }
});
