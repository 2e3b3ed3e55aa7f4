/**
 * Checks that every public symbol is documented. It runs `deno doc --lint` over all modules of the program at once,
 * because the lint of a single module complains about types of other modules. Tests, `testing/` folders and files that
 * begin with `_` are private. `deno doc` counts types of packages and of the generated contract as public, and no
 * option changes that. A field needs a comment only if its name does not say what it is.
 *
 * @module
 */
const FOLDERS = [
  "attestation",
  "backup",
  "certificate",
  "channel",
  "cli",
  "founding",
  "init",
  "join",
  "journal",
  "kubernetes",
  "node",
  "nodelock",
  "operator",
  "platform",
  "protocol",
  "service",
];
const MISSING = /^error\[missing-jsdoc\]: [^\n]*\n +--> [^\n]*\n(?: +\|[^\n]*\n)?\d+ \|([^\n]*)/;
/** A field whose name says what it is, or a disposer. */
const NEEDS_NO_COMMENT = /^\s+(?:(?:readonly |get )?\w+\??(?:\(\))?:|(?:async )?\[Symbol\.\w+\])/;
const PRIVATE_TYPE = /^error\[private-type-ref\]: .* references private type '(\w+)'\n +--> (.+?):\d+:\d+/;

async function modules(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const nested = await Promise.all(entries.map(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return name === "testing" ? [] : modules(path);
    const isPublic = name.endsWith(".ts") && !/^_|_test\.ts$/.test(name);
    return Promise.resolve(isPublic ? [path] : []);
  }));
  return nested.flat();
}

/** Whether a complaint is about a type that the module only imports from a package or from the generated contract. */
async function isImportedType(complaint: string): Promise<boolean> {
  const [, type, path] = PRIVATE_TYPE.exec(complaint) ?? [];
  if (type === undefined || path === undefined) return false;
  const imports = (await Deno.readTextFile(path)).matchAll(/import[^;]*?\{([^}]*)\}\s*from\s*"([^"]+)"/g);
  const isForeign = ([, names = "", from = ""]: RegExpMatchArray) =>
    names.split(/[\s,]+/).includes(type) && (!from.startsWith(".") || from.includes("proto/gen/"));
  return [...imports].some(isForeign);
}

/** Whether a complaint is about a member of a documented type that needs no comment. */
function isTrivial(complaint: string): boolean {
  return NEEDS_NO_COMMENT.test(MISSING.exec(complaint)?.[1] ?? "");
}

const files = (await Promise.all(FOLDERS.map(modules))).flat().toSorted();
const { success, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", "main.ts", ...files],
  env: { NO_COLOR: "1" },
}).output();
if (!success) {
  const complaints = new TextDecoder().decode(stderr).split(/\n(?=error)/).filter((text) => text.startsWith("error["));
  const ours = (await Promise.all(complaints.map(async (text) =>
    isTrivial(text) || await isImportedType(text) ? [] : [text]
  ))).flat();
  await Deno.stderr.write(new TextEncoder().encode(ours.map((text) => `${text.trimEnd()}\n\n`).join("")));
  if (ours.length > 0 || complaints.length === 0) Deno.exit(1);
}
