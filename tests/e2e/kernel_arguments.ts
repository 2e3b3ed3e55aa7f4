/** How the processor is emulated. */
export type Acceleration = "kvm" | "tcg";

/** Guards against a processor that speculates, and a fifth level of page tables, only cost time. */
const emulated = ["mitigations=off", "no5lvl"];

/**
 * The kernel's arguments, the same for all machines of a testbed: they are part of the image that is booted.
 *
 * @param tscKhz how fast this machine's time stamp counter is, which an emulated processor shows as its own; where that is known
 */
export function kernelArguments(acceleration: Acceleration, tscKhz: number | undefined): readonly string[] {
  return [
    ...["console=ttyS0", "quiet", "net.ifnames=0", "panic=-1"],
    // An emulated processor hung in the kernel's tests of its ciphers once; one that hangs starts anew by itself.
    ...["cryptomgr.notests", "softlockup_panic=1", "watchdog_thresh=60"],
    ...(acceleration === "kvm" ? [] : [...emulated, ...clockArguments(tscKhz)]),
  ];
}

/**
 * Linux believes the time stamp counters of several emulated processors to differ, which they do not, and takes the HPET instead:
 * then whoever looks at the clock, as Go programs always do, waits for a lock of QEMU's. The rate must come with it: a machine
 * that measures it while others keep this one busy may get it wrong by far, and its clock runs away.
 */
function clockArguments(tscKhz: number | undefined): readonly string[] {
  return tscKhz === undefined ? [] : ["tsc=reliable", `tsc_early_khz=${tscKhz}`];
}
