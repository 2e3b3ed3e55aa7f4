import { NO_IMPORT_ARGUMENT } from "../../attestation/uki/kernel_arguments.ts";

/** How the processor is emulated. */
export type Acceleration = "kvm" | "tcg";

/** Mitigations of speculative execution and a fifth level of page tables only cost time on an emulated processor. */
const emulated = ["mitigations=off", "no5lvl"];

/**
 * The kernel's arguments. They are the same for all machines of a testbed, as they are part of the image that is
 * booted.
 *
 * @param tscKhz the rate of this machine's time stamp counter, which an emulated processor shows as its own;
 * `undefined` where it is unknown
 */
export function kernelArguments(acceleration: Acceleration, tscKhz: number | undefined): readonly string[] {
  return [
    NO_IMPORT_ARGUMENT,
    ...["console=ttyS0", "quiet", "net.ifnames=0", "panic=-1"],
    // An emulated processor once hung in the kernel's self-tests of its ciphers. A guest that hangs restarts by itself.
    ...["cryptomgr.notests", "softlockup_panic=1", "watchdog_thresh=60"],
    ...(acceleration === "kvm" ? [] : [...emulated, ...clockArguments(tscKhz)]),
  ];
}

/**
 * Linux assumes that the time stamp counters of several emulated processors differ, which they do not, and uses the
 * HPET instead. Every read of the clock, which Go programs do all the time, then waits for a lock in QEMU. The rate is
 * passed as well: a guest that measures it while this machine is busy may get it far wrong, and its clock then runs
 * away.
 */
function clockArguments(tscKhz: number | undefined): readonly string[] {
  return tscKhz === undefined ? [] : ["tsc=reliable", `tsc_early_khz=${tscKhz}`];
}
