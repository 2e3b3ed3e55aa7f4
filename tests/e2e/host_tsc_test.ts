import assert from "node:assert/strict";
import { parseTscKhz } from "./host_tsc.ts";

const processor = (mhz: string, flags: string) => `processor\t: 0\ncpu MHz\t\t: ${mhz}\nflags\t\t: ${flags}\n`;

Deno.test("parseTscKhz() returns the rate only where a hypervisor keeps it constant", () => {
  const constant = "fpu tsc constant_tsc nonstop_tsc hypervisor";
  assert.equal(parseTscKhz(`${processor("2596.096", constant)}\n${processor("1000.000", "fpu")}`), 2_596_096);
  assert.equal(parseTscKhz(processor("2596.096", "fpu tsc constant_tsc nonstop_tsc")), undefined);
  assert.equal(parseTscKhz(processor("2596.096", "fpu tsc hypervisor")), undefined);
  assert.equal(parseTscKhz(""), undefined);
});
