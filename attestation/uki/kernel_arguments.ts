/**
 * The kernel argument without which systemd obeys the machine's host.
 *
 * systemd takes credentials from SMBIOS, fw_cfg, the kernel's arguments and the boot partition, and some of them make
 * files, users, units or passwords (systemd.system-credentials(7)). None of them is measured into a register that a
 * policy pins, so the argument must be part of the measured image.
 *
 * @module
 */

/** The argument, as an image should have it (systemd(1), since version 251). */
export const NO_IMPORT_ARGUMENT = "systemd.import_credentials=no";

/** systemd takes `-` for `_`, and every spelling of false. */
const OFF = /^systemd\.import[_-]credentials=(?:0|n|no|f|false|off)$/i;
const MENTION = /import[_-]credentials/gi;

/**
 * Whether a kernel's arguments surely keep systemd from importing credentials. Arguments that name the setting more
 * than once, or in another form, do not.
 */
export function turnsOffCredentials(kernelArguments: string): boolean {
  const mentions = kernelArguments.match(MENTION) ?? [];
  return mentions.length === 1 && kernelArguments.split(/\s+/).some((argument) => OFF.test(argument));
}
