/**
 * The values of PCR 4 and PCR 11 after firmware has started a unified kernel image directly from a boot option.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { concat, fromHex, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { imageHash } from "./authenticode.ts";
import { turnsOffCredentials } from "./kernel_arguments.ts";
import type { PeImage } from "./pe.ts";
import { readPeImage } from "./pe.ts";

/** One measurement of an image. */
export interface UkiMeasurement {
  /** The register, 4 or 11. */
  readonly pcr: number;
  /** The description of the measured data, in the terms of the event log. */
  readonly description: string;
  /** The digest that the register is extended by, SHA-256, hexadecimal. */
  readonly digest: string;
}

/** The register values after an image was started. */
export interface UkiRegisters {
  /**
   * The possible values of PCR 4. The firmware measures the whole image. Without Secure Boot, it also measures the
   * kernel in the image, because the stub has the firmware load that kernel, which gives another value. Both values
   * depend only on this image; PCR 7 shows the state of Secure Boot.
   */
  readonly bootLoader: readonly Bytes[];
  /** The value of PCR 11: the stub's measurements of the sections, and the requested phases of boot. */
  readonly kernelImage: Bytes;
  /** All measurements, in order. */
  readonly measurements: readonly UkiMeasurement[];
  /** Whether the image's own kernel arguments keep systemd from obeying the credentials of the machine's host. */
  readonly refusesCredentials: boolean;
}

/** The register into which firmware measures the programs that it starts. */
export const BOOT_LOADER_REGISTER = 4;
/** The register into which systemd-stub measures the sections of its image. */
export const KERNEL_IMAGE_REGISTER = 11;

/**
 * The measurements of EDK II when it calls a boot option, and at the end of its own part (Platform Firmware Profile
 * 1.05, 8.2.4).
 */
const CALLING = "Calling EFI Application from Boot Option";
const SEPARATOR: Bytes = new Uint8Array(4);
const KERNEL_SECTION = ".linux";
/**
 * The sections in the order in which systemd-stub 252 measures them (`src/fundamental/tpm-pcr.h`). It does not measure
 * `.pcrsig`, which signs the result.
 */
const SECTIONS_252: readonly string[] = [
  KERNEL_SECTION,
  ".osrel",
  ".cmdline",
  ".initrd",
  ".splash",
  ".dtb",
  ".pcrpkey",
];
/** The first version of kernels that the stub has the firmware load (`pe_kernel_info()`). */
const LOADED_KERNEL_VERSION = 1;
const STUB_MAGIC = /^#### LoaderInfo: systemd-stub (\d{1,9})(?!\d)[^#]* ####\0*$/;
const KNOWN_STUB = "252";
const PHASE = /^[a-z][a-z-]{0,31}$/;

/**
 * Computes the registers after an image was started.
 *
 * The stub measures external kernel arguments, credentials and extensions into other registers (PCR 12 and 13). Under
 * Secure Boot, the stub bypasses the firmware's checks when it loads its kernel, so the firmware does not measure the
 * kernel. Without Secure Boot, the firmware does (`src/boot/efi/linux.c`, `secure-boot.c`). The firmware never loads a
 * kernel whose EFI stub is older than 1.0.
 *
 * @param file The image.
 * @param what The image's name in errors, such as its path.
 * @param phases The words that systemd-pcrphase measures into PCR 11 before evidence is made, in order, such as
 *   `enter-initrd`.
 * @throws {BootstrapError} `malformed/pe`, `malformed/uki` for an image whose sections the stub would read differently,
 *   `usage/uki-stub` for any stub but that of systemd 252, `usage/phase`.
 */
export async function ukiRegisters(
  file: Uint8Array,
  what: string,
  phases: readonly string[] = [],
): Promise<UkiRegisters> {
  const image = readPeImage(file, what);
  checkStub(image, what);
  const kernelContent = contentOf(image, KERNEL_SECTION, what);
  if (kernelContent === undefined) {
    throw new BootstrapError("malformed/uki", `Cannot read ${what} as a UKI: it has no ${KERNEL_SECTION}`);
  }
  const kernel = readPeImage(kernelContent, `${what}, ${KERNEL_SECTION}`);

  const started = [
    await measurement(BOOT_LOADER_REGISTER, `EV_EFI_ACTION "${CALLING}"`, utf8(CALLING)),
    await measurement(BOOT_LOADER_REGISTER, "EV_SEPARATOR 00000000", SEPARATOR),
    hashed(BOOT_LOADER_REGISTER, "EV_EFI_BOOT_SERVICES_APPLICATION the image", imageHash(image)),
  ];
  const isLoaded = kernel.majorImageVersion >= LOADED_KERNEL_VERSION;
  const loaded = isLoaded
    ? [hashed(
      BOOT_LOADER_REGISTER,
      `EV_EFI_BOOT_SERVICES_APPLICATION ${KERNEL_SECTION}, without Secure Boot only`,
      imageHash(kernel),
    )]
    : [];
  const measured: UkiMeasurement[] = [];
  for (const name of SECTIONS_252) {
    const content = contentOf(image, name, what);
    if (content === undefined) continue;
    const nameBytes = concat(utf8(name), new Uint8Array(1));
    measured.push(
      await measurement(KERNEL_IMAGE_REGISTER, `EV_IPL ${name}, its name`, nameBytes),
      await measurement(KERNEL_IMAGE_REGISTER, `EV_IPL ${name}, ${content.length} bytes`, content),
    );
  }
  for (const phase of phases) {
    if (!PHASE.test(phase)) {
      throw new BootstrapError("usage/phase", `Cannot use ${JSON.stringify(phase)} as a phase of boot`, {
        next: "Give words such as enter-initrd, with colons in between",
      });
    }
    measured.push(await measurement(KERNEL_IMAGE_REGISTER, `systemd-pcrphase ${phase}`, utf8(phase)));
  }
  const underSecureBoot = await extendedBy(started);
  return {
    bootLoader: isLoaded ? [await extendedBy([...started, ...loaded]), underSecureBoot] : [underSecureBoot],
    kernelImage: await extendedBy(measured),
    measurements: [...started, ...loaded, ...measured],
    refusesCredentials: turnsOffCredentials(
      new TextDecoder().decode(contentOf(image, ".cmdline", what)).replace(/\0+$/, ""),
    ),
  };
}

async function measurement(pcr: number, description: string, content: Uint8Array): Promise<UkiMeasurement> {
  return hashed(pcr, description, await sha256(content));
}

function hashed(pcr: number, description: string, digest: Bytes): UkiMeasurement {
  return { pcr, description, digest: hex(digest) };
}

async function extendedBy(measurements: readonly UkiMeasurement[]): Promise<Bytes> {
  let value: Bytes = new Uint8Array(32);
  for (const { digest } of measurements) value = await sha256(value, fromHex(digest, "digest"));
  return value;
}

/** Checks the version of the stub, because the order of the measurements is that of one version. */
function checkStub(image: PeImage, what: string): void {
  const content = contentOf(image, ".sdmagic", what) ?? new Uint8Array();
  const [, version] = STUB_MAGIC.exec(new TextDecoder("ascii").decode(content)) ?? [];
  if (version === KNOWN_STUB) return;
  throw new BootstrapError("usage/uki-stub", `Cannot tell what the stub of ${what} measures`, {
    next:
      "Build the image with the stub of systemd 252 (Debian 12), or make the policy from evidence of a machine that booted it",
    details: { document: what, expected: `systemd-stub ${KNOWN_STUB}`, seen: version ?? "no systemd-stub" },
  });
}

/**
 * Returns the contents of a section, or `undefined` if the section is missing or empty. The stub accepts every section
 * whose name begins with the wanted one, uses the last of several, and reads zeros if a section is longer in memory
 * than in the file. Honest images contain none of these cases, so they are refused.
 */
function contentOf({ bytes, sections }: PeImage, name: string, what: string): Uint8Array | undefined {
  const fail = (reason: string) => new BootstrapError("malformed/uki", `Cannot read ${what} as a UKI: ${reason}`);
  const [section, ...more] = sections.filter((one) => one.name.startsWith(name));
  if (more.length > 0 || (section !== undefined && section.name !== name)) {
    throw fail(`it has several sections that begin with ${name}`);
  }
  if (section === undefined || section.virtualSize === 0) return undefined;
  if (section.virtualSize > section.rawSize) throw fail(`${name} is longer in memory than in the file`);
  return bytes.subarray(section.rawOffset, section.rawOffset + section.virtualSize);
}
