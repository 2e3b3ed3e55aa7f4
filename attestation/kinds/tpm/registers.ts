/**
 * What the PCRs of a PC are for, and which of them say what a machine boots (TCG PC Client Platform Firmware Profile
 * 1.05, 3.3.4; systemd, TPM2_PCR_MEASUREMENTS).
 *
 * @module
 */
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";

/** The use of a PCR. */
export interface PcrUse {
  /** What is measured into it, for people. */
  readonly holds: string;
  /** Why a policy leaves it out unless it is asked for; absent if a policy pins it. */
  readonly leftOutBecause?: string;
}

const USES: readonly PcrUse[] = [
  { holds: "the firmware's code" },
  {
    holds: "the firmware's settings and the boot order",
    leftOutBecause: "it changes with each boot entry and each setting, and PCR 4 says what boots",
  },
  { holds: "the code of plugged-in devices" },
  { holds: "the settings of plugged-in devices" },
  { holds: "the boot loader, or the unified kernel image" },
  {
    holds: "the partition table and attempts to boot",
    leftOutBecause: "it has random numbers of each disk, and PCR 4 says what boots",
  },
  {
    holds: "what the machine's maker chooses",
    leftOutBecause: "it may have serial numbers, and differ from boot to boot",
  },
  { holds: "Secure Boot: its state and its keys" },
  { holds: "GRUB's commands, the kernel's command line among them" },
  { holds: "the files that GRUB or the kernel's stub loads, the initial file system among them" },
  { holds: "what the kernel's IMA measures", leftOutBecause: "it changes with each file that is opened" },
  { holds: "the parts of a unified kernel image, and the phases of boot" },
  { holds: "the trust part of the configuration" },
  { holds: "system extensions that the kernel's stub loads" },
  { holds: "shim's keys and hashes" },
  { holds: "the lock" },
];

/** The PCRs of firmware and boot loader. Where all are zero, nothing measured the boot. */
const FIRMWARE_PCRS: readonly number[] = Object.freeze([0, 1, 2, 3, 4, 5, 6, 7]);

/** The PCRs that the protocol uses, which no policy names. */
export const PROTOCOL_PCRS: readonly number[] = Object.freeze([TRUST_REGISTER, LOCK_REGISTER]);

/** Returns the use of a PCR, 0 to 15. */
export function useOf(pcr: number): PcrUse {
  return USES[pcr] ?? { holds: "nothing known", leftOutBecause: "nothing known is measured into it" };
}

/** Whether a policy that is made from a machine pins a PCR without being asked. */
export function isPinned(pcr: number): boolean {
  return useOf(pcr).leftOutBecause === undefined;
}

/** Returns the warning that nothing measured the boot of a machine; `undefined` if something did. */
export function unmeasuredWarning(name: string, pcrs: readonly Uint8Array[]): string | undefined {
  const isMeasured = FIRMWARE_PCRS.some((pcr) => !isReset(pcrs[pcr] ?? new Uint8Array(1)));
  return isMeasured ? undefined : (
    `NOT MEASURED: PCR 0 to 7 of ${name} are zero: no firmware measured what booted, so whoever runs code on that ` +
    "machine can make any value of these registers. Use a machine whose firmware measures into its TPM."
  );
}

/** Whether a value says that nothing was measured: a register has it from a reset on. */
function isReset(value: Uint8Array): boolean {
  const [first] = value;
  return (first === 0 || first === 0xff) && value.every((octet) => octet === first);
}
