import assert from "node:assert/strict";
import { megabytes, processorMs } from "./process_usage.ts";

Deno.test("processorMs() adds user and system time, whatever the process's name is", () => {
  const stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 900 0 3 0 25 17 400 400 20 0 9 0 1000 1 2";
  assert.equal(processorMs(stat), 420);
});

Deno.test("megabytes() reads one line", () => {
  assert.equal(megabytes("VmPeak:\t  1 kB\nVmHWM:\t  1000000 kB\n", "VmHWM"), 1024);
  assert.ok(Number.isNaN(megabytes("VmPeak:\t  1 kB\n", "VmHWM")));
});
