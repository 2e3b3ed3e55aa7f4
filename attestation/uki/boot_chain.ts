/**
 * The value of PCR 4 after firmware has started a unified kernel image, directly or through a shim or systemd-boot.
 *
 * Each program is measured once, by its Authenticode hash, into PCR 4: by firmware that loads it, or by the shim, which
 * measures the same hash (`tpm_log_pe()` in shim's `tpm.c`). The shim measures its lists of keys into PCR 7 and PCR 14.
 *
 * @module
 */
import { utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { imageHash } from "./authenticode.ts";
import type { UkiMeasurement } from "./measurement.ts";
import { hashed, measurement } from "./measurement.ts";
import { type PeImage, readPeImage } from "./pe.ts";
import { bootLoaderProblem, systemdProgram } from "./systemd_program.ts";

/** A program that runs before the image. */
export interface BootProgram {
  /** The program's name in errors and descriptions, such as its path. */
  readonly name: string;
  /** The digest of its hash. */
  readonly measurement: UkiMeasurement;
  /** Why no machine that is started by it can join, if that is so. */
  readonly problem?: string;
}

/** The register into which firmware measures the programs that it starts. */
export const BOOT_LOADER_REGISTER = 4;

/**
 * The measurements of EDK II when it calls a boot option, and at the end of its own part (Platform Firmware Profile
 * 1.05, 8.2.4).
 */
const CALLING = "Calling EFI Application from Boot Option";
const SEPARATOR: Bytes = new Uint8Array(4);
const APPLICATION = "EV_EFI_BOOT_SERVICES_APPLICATION";
/** A shim names itself in its own SBAT data (SBAT.md of shim). */
const SHIM_LINE = /^shim,\d+,/m;

/**
 * Reads systemd-boot.
 *
 * @param name The file's name.
 * @throws {BootstrapError} `malformed/pe`, `usage/boot-program` for any other program.
 */
export function readBootLoader(file: Uint8Array, name: string): BootProgram {
  const image = readPeImage(file, name);
  const program = systemdProgram(image);
  if (program?.name !== "systemd-boot") {
    const seen = program === undefined ? "another program" : `${program.name} ${program.version}`;
    throw programError(
      `Cannot use ${name} as the boot loader: it is not systemd-boot`,
      "Give systemd-boot, as it is in the boot partition. What other boot loaders measure is not known: make the " +
        "policy from evidence of a machine that they booted",
      { document: name, expected: "systemd-boot", seen },
    );
  }
  const problem = bootLoaderProblem(program);
  return { name, measurement: started(name, image), ...(problem === undefined ? {} : { problem }) };
}

/**
 * Reads a shim.
 *
 * @param name The file's name.
 * @throws {BootstrapError} `malformed/pe`, `usage/boot-program` for any other program.
 */
export function readShim(file: Uint8Array, name: string): BootProgram {
  const image = readPeImage(file, name);
  const sbat = image.sections.find((section) => section.name === ".sbat");
  const content = sbat === undefined ? undefined : file.subarray(sbat.rawOffset, sbat.rawOffset + sbat.rawSize);
  if (!SHIM_LINE.test(new TextDecoder("latin1").decode(content))) {
    throw programError(
      `Cannot use ${name} as the shim: its .sbat does not name "shim"`,
      "Give the shim, as it is in the boot partition; versions before 15.4 are revoked",
      { document: name, expected: "shim", seen: sbat === undefined ? "no .sbat" : ".sbat of another program" },
    );
  }
  return { name, measurement: started(name, image) };
}

/** The measurements into PCR 4 up to the image, in order. */
export async function startMeasurements(
  programs: readonly BootProgram[],
  image: PeImage,
): Promise<readonly UkiMeasurement[]> {
  return [
    await measurement(BOOT_LOADER_REGISTER, `EV_EFI_ACTION "${CALLING}"`, utf8(CALLING)),
    await measurement(BOOT_LOADER_REGISTER, "EV_SEPARATOR 00000000", SEPARATOR),
    ...programs.map((program) => program.measurement),
    started("the image", image),
  ];
}

/** The measurement of the kernel in the image, which firmware loads for the stub. */
export function kernelMeasurement(section: string, kernel: PeImage): UkiMeasurement {
  return started(`${section}, without Secure Boot only`, kernel);
}

function started(description: string, image: PeImage): UkiMeasurement {
  return hashed(BOOT_LOADER_REGISTER, `${APPLICATION} ${description}`, imageHash(image));
}

function programError(message: string, next: string, details: Readonly<Record<string, string>>): BootstrapError {
  return new BootstrapError("usage/boot-program", message, { next, details });
}
