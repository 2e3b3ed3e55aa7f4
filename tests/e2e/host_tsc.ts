/**
 * The rate of this machine's time stamp counter in kHz, or `undefined` where it is not certain. A hypervisor shows it as the
 * frequency of the processor, which is constant there; a machine of metal shows another.
 */
export async function hostTscKhz(): Promise<number | undefined> {
  return parseTscKhz(await Deno.readTextFile("/proc/cpuinfo").catch(() => ""));
}

/** The same from the text of `/proc/cpuinfo`. */
export function parseTscKhz(cpuinfo: string): number | undefined {
  const [first = ""] = cpuinfo.split("\n\n", 1);
  const flags = /^flags\s*: (.*)$/m.exec(first)?.[1]?.split(" ") ?? [];
  const mhz = /^cpu MHz\s*: (\d+\.\d+)$/m.exec(first)?.[1];
  const isConstant = ["constant_tsc", "nonstop_tsc", "hypervisor"].every((flag) => flags.includes(flag));
  return isConstant && mhz !== undefined ? Math.round(Number(mhz) * 1000) : undefined;
}
