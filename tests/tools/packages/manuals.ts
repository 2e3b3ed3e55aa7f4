import { join } from "node:path";
import { COMMANDS } from "../../../cli/commands.ts";
import { capture, run } from "../run.ts";
import { compressed, type PackagedFile } from "./contents.ts";

/** Where shells look for the completions that packages bring. */
const COMPLETIONS: readonly { readonly shell: string; readonly target: string; readonly only?: "deb" | "rpm" }[] = [
  { shell: "bash", target: "/usr/share/bash-completion/completions/bootstrapper" },
  { shell: "zsh", target: "/usr/share/zsh/vendor-completions/_bootstrapper", only: "deb" },
  { shell: "zsh", target: "/usr/share/zsh/site-functions/_bootstrapper", only: "rpm" },
  { shell: "fish", target: "/usr/share/fish/vendor_completions.d/bootstrapper.fish" },
];

/**
 * The completions and the manual pages that the program itself writes, where it has the commands for it.
 *
 * @param binary The compiled program.
 * @param work An empty folder for files on their way.
 */
export async function manuals(binary: string, work: string, log: string): Promise<PackagedFile[]> {
  const names = new Set(COMMANDS.map(({ name }) => name));
  const files: PackagedFile[] = [];
  if (names.has("completion")) {
    for (const { shell, ...where } of COMPLETIONS) {
      const content = `${await capture([binary, "completion", shell])}\n`;
      files.push({ ...where, content, mode: 0o644 });
    }
  }
  if (names.has("man")) {
    const folder = join(work, "man");
    await run([binary, "man", folder], { log });
    for (const { name } of Array.from(Deno.readDirSync(folder)).toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      const content = compressed(await Deno.readTextFile(join(folder, name)));
      files.push({ target: `/usr/share/man/man${name.at(-1)}/${name}.gz`, content, mode: 0o644 });
    }
  }
  return files;
}
