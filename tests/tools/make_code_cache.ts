/**
 * Compiled into a binary by `compile.ts`: runs the program in `program.txt` for some commands, and writes V8's code cache
 * of what they compiled:
 *
 *     make_code_cache --make-code-cache OUTPUT
 *     make_code_cache --check-code-cache FILE     fails if V8 does not take the cache
 *
 * The commands end by themselves, as what they need is not there. By then they have loaded their modules. With other
 * arguments this is the program, as its commands start it again.
 *
 * @module
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";

const folder = import.meta.dirname ?? ".";
const nowhere = join(folder, "nowhere");
const COMMANDS: readonly (readonly string[])[] = [
  ["version"],
  ["run", "--config", nowhere],
  ["measure", "--config", nowhere],
  ["init-front", "--listen", "127.0.0.1:0", "--socket", join(nowhere, "socket")],
];

const filename = "bootstrapper.js";
const source = Deno.readTextFileSync(join(folder, "program.txt"));
const [first, path = ""] = Deno.args;
if (first === "--check-code-cache") {
  const { cachedDataRejected } = new Script(source, { filename, cachedData: Deno.readFileSync(path) });
  if (cachedDataRejected !== false) throw new Error(`V8 does not take the code cache ${path}`);
  Deno.exit(0);
}
// The cache has what is still compiled when it is written. The flags must be the binary's by then.
setFlagsFromString("--no-flush-bytecode");
const script = new Script(source, { filename });
const program: (require: NodeJS.Require) => void = script.runInThisContext();
if (first === "--make-code-cache") await makeCodeCache(path);
else program(createRequire(import.meta.url));

async function makeCodeCache(output: string): Promise<void> {
  const exit = Deno.exit;
  // The commands drop permissions, which this process needs until its end.
  Deno.permissions.revoke = (descriptor) => Deno.permissions.query(descriptor);
  for (const args of COMMANDS) {
    Object.defineProperty(Deno, "args", { value: args, configurable: true });
    await new Promise<void>((resolve) => {
      Object.defineProperty(Deno, "exit", { value: () => resolve(), configurable: true });
      program(createRequire(import.meta.url));
    });
  }
  setFlagsFromString("--flush-bytecode");
  Deno.writeFileSync(output, script.createCachedData());
  exit(0);
}
