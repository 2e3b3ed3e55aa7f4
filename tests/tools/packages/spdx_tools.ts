import { join } from "node:path";
import { debianPackages } from "../debian_packages.ts";
import { run } from "../run.ts";
import type { Store } from "../store.ts";

/** The SPDX project's own reader and checker of SBOMs, and all that it needs, from PyPI. */
const packages = [
  "beartype==0.23.1",
  "boolean.py==5.0",
  "click==8.5.1",
  "license-expression==30.4.4",
  "ply==3.11",
  "pyparsing==3.3.3",
  "PyYAML==6.0.4",
  "rdflib==7.6.0",
  "semantic-version==2.10.0",
  "spdx-tools==0.8.5",
  "uritools==7.0.1",
  "xmltodict==1.0.4",
];
const module = "spdx_tools.spdx.clitools.pyspdxtools";

/**
 * Fetches the checker, and returns the command that checks a file by all rules of its version of SPDX: it fails, and says
 * why, if the file breaks one.
 */
export async function spdxChecker(store: Store): Promise<(file: string) => readonly [string, ...string[]]> {
  const folder = await store.cached("spdx-tools", { packages }, async ({ folder, log }) => {
    await debianPackages(["python3-venv"]);
    const venv = join(folder, "venv");
    await run(["/usr/bin/python3", "-m", "venv", venv], { log });
    const pip = [join(venv, "bin/pip"), "install", "--no-deps", "--target", join(folder, "lib")] as const;
    await run([...pip, ...packages], { log });
    await Deno.remove(venv, { recursive: true });
  });
  const python = ["env", `PYTHONPATH=${join(folder, "lib")}`, "/usr/bin/python3", "-m", module] as const;
  return (file) => [...python, "--infile", file];
}
