import { join } from "node:path";
import type { NpmDependency } from "./npm_dependencies.ts";

const RUNTIME_LICENCES = join(import.meta.dirname ?? ".", "runtime_licences.txt");
const RULE = `\n\n${"-".repeat(80)}\n\n`;
/** Debian wants this licence named, and not repeated. */
const APACHE_REFERENCE =
  `Licensed under the Apache License, Version 2.0. Its text is in the file LICENSE of this project, and on
Debian systems in /usr/share/common-licenses/Apache-2.0.`;
const HEADER = `bootstrapper is licensed under the Apache License, Version 2.0. You may not use it except in compliance
with the License. On Debian systems, its text is in /usr/share/common-licenses/Apache-2.0.

Copyright the authors of bootstrapper

The program contains the runtime Deno with V8 and ICU, and packages from npm. Their licences follow. The libraries
that Deno itself is made of are listed in its own repository, https://github.com/denoland/deno, in Cargo.lock.`;

/** The text of the file `copyright`: the program's licence, and those of all that the binary contains. */
export async function copyrightText(dependencies: Iterable<NpmDependency>): Promise<string> {
  const runtime = (await Deno.readTextFile(RUNTIME_LICENCES)).trim().replaceAll(/\n+----\n+/g, RULE);
  const packages = packagesByText(dependencies).map(([text, names]) => `${names.join("\n")}\n\n${text}`);
  return `${[HEADER, runtime, ...packages].join(RULE)}\n`;
}

/** Each text once, with the packages that have it. */
function packagesByText(dependencies: Iterable<NpmDependency>): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const { name, version, license, licenseTexts } of dependencies) {
    const text = licenseTexts.map(shortened).join("\n\n");
    found.set(text, [...found.get(text) ?? [], `${name} ${version} (${license})`]);
  }
  return [...found];
}

function shortened(text: string): string {
  if (!/Apache License\s+Version 2\.0, January 2004/.test(text)) return text;
  // What is filled in at the end of the licence.
  const [notice = ""] = /^ *Copyright (?:\(c\) )?(?!\[yyyy\])\[?\d{4}.*$/m.exec(text) ?? [];
  return [notice.trim(), APACHE_REFERENCE].filter((part) => part !== "").join("\n\n");
}
