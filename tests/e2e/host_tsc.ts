/**
 * The rate of this machine's time stamp counter in kHz, or `undefined` where it is uncertain. A hypervisor reports it
 * as the processor's frequency, which is constant there; on a physical machine the reported frequency is a different
 * one.
 */
export async function hostTscKhz(): Promise<number | undefined> {
  return parseTscKhz(await Deno.readTextFile("/proc/cpuinfo").catch(() => ""));
}

/** Reads the same rate from the text of `/proc/cpuinfo`. */
export function parseTscKhz(cpuinfo: string): number | undefined {
  const [first = ""] = cpuinfo.split("\n\n", 1);
  const flags = /^flags\s*: (.*)$/m.exec(first)?.[1]?.split(" ") ?? [];
  const mhz = /^cpu MHz\s*: (\d+\.\d+)$/m.exec(first)?.[1];
  const isConstant = ["constant_tsc", "nonstop_tsc", "hypervisor"].every((flag) => flags.includes(flag));
  return isConstant && mhz !== undefined ? Math.round(Number(mhz) * 1000) : undefined;
}
