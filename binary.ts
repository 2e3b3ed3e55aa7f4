/**
 * The entry point of the compiled binary: runs `main.ts` and all it imports, as one script with V8's code cache of it.
 * Parsing and compiling would take more than half of a start's processor time.
 *
 * Script and cache are files inside the binary. The code cache that `deno compile` itself offers is a file in the folder
 * for temporary files, whose bytes would be run as they are, whoever wrote them: the binary is built without it.
 *
 * @module
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

const folder = import.meta.dirname ?? ".";
const script = new Script(Deno.readTextFileSync(join(folder, "program.txt")), {
  filename: "bootstrapper.js",
  // V8 does without a cache of another version of itself.
  cachedData: Deno.readFileSync(join(folder, "program.cache")),
});
const program: (require: NodeJS.Require) => void = script.runInThisContext();
program(createRequire(import.meta.url));
