/**
 * Compiled into a binary by `compile.ts`: runs the program in `program.txt` for some commands, and writes V8's code cache
 * of what they compiled:
 *
 *     make_code_cache --make-code-cache OUTPUT
 *     make_code_cache --check-code-cache FILE     fails if V8 does not take the cache
 *
 * The commands may neither write nor start a program, so that they end by themselves and leave nothing behind. By then
 * they have loaded their modules. With other arguments this is the program, as its commands start it again.
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
  const file = Deno.openSync(output, { write: true, create: true, truncate: true });
  const denied = Deno.permissions.revokeSync({ name: "write" });
  Deno.permissions.revokeSync({ name: "run" });
  // The commands of root load their modules for anybody who builds.
  Deno.uid = () => 0;
  // One command drops permissions that the next one needs.
  Deno.permissions.revoke = () => Promise.resolve(denied);
  for (const args of COMMANDS) {
    Object.defineProperty(Deno, "args", { value: args, configurable: true });
    await new Promise<void>((resolve) => {
      Object.defineProperty(Deno, "exit", { value: () => resolve(), configurable: true });
      program(createRequire(import.meta.url));
    });
  }
  setFlagsFromString("--flush-bytecode");
  const cache = script.createCachedData();
  for (let written = 0; written < cache.length;) written += file.writeSync(cache.subarray(written));
  exit(0);
}
