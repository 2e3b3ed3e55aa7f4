import assert from "node:assert/strict";
import { DENO_RUN } from "../tests/deno_run.ts";

const NOBODY = 65_534;
/**
 * Becomes another user, and prints the owner of its own memory before and after. The kernel gives that of a process
 * that is not dumpable to root (`proc(5)`).
 */
const PROGRAM = `
import { forbidDumps } from ${JSON.stringify(import.meta.resolve("./dumpable.ts"))};
const { symbols } = Deno.dlopen("libc.so.6", {
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
});
const owner = () => Deno.statSync("/proc/self/environ").uid;
symbols.setresuid(${NOBODY}, ${NOBODY}, ${NOBODY});
// A change of the user forbids dumps by itself.
symbols.prctl(4, 1n, 0n, 0n, 0n);
const before = owner();
forbidDumps();
console.log(JSON.stringify([Deno.uid(), before, owner()]));
`;
const isRoot = Deno.uid() === 0;

Deno.test({
  name: `forbidDumps() makes a process's memory root's${
    isRoot ? "" : " (SKIPPED: it takes root to become another user)"
  }`,
  ignore: !isRoot,
  async fn() {
    const program = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(program, PROGRAM);
      const [deno, ...args] = DENO_RUN;
      const { code, stdout, stderr } = await new Deno.Command(deno, { args: [...args, "--no-check", program] })
        .output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [NOBODY, NOBODY, 0]);
    } finally {
      await Deno.remove(program);
    }
  },
});
