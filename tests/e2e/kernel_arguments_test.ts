import assert from "node:assert/strict";
import { kernelArguments } from "./kernel_arguments.ts";

Deno.test("kernelArguments() passes the clock's rate to emulated processors only, and only when it is known", () => {
  assert(kernelArguments("tcg", 2_600_000).includes("tsc_early_khz=2600000"));
  for (const args of [kernelArguments("tcg", undefined), kernelArguments("kvm", 2_600_000)]) {
    assert.doesNotMatch(args.join(" "), /tsc/);
  }
});
