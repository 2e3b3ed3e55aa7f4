/**
 * The values of PCR 4 and PCR 11 after a unified kernel image was started.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Bytes } from "../../platform/bytes.ts";
import { utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { BootProgram } from "./boot_chain.ts";
import { kernelMeasurement, startMeasurements } from "./boot_chain.ts";
import { turnsOffCredentials } from "./kernel_arguments.ts";
import type { UkiMeasurement } from "./measurement.ts";
import { extendedBy, hashed, measurement } from "./measurement.ts";
import type { PeImage, PeSection } from "./pe.ts";
import { readPeImage } from "./pe.ts";
import { contentOf, isFilled, KERNEL_SECTION, ukiError, type UsedSections, usedSections } from "./sections.ts";
import { stubRules } from "./systemd_program.ts";

export type { UkiMeasurement } from "./measurement.ts";
export { BOOT_LOADER_REGISTER } from "./boot_chain.ts";

/** One way in which an image may be started: a profile, and a device tree that the stub selects for the machine. */
export interface KernelImage {
  /** The profile and the device tree, for people; empty if the image has neither. */
  readonly name: string;
  /** The number of the profile, from 0. The stub measures any other number than 0 into PCR 12. */
  readonly profile: number;
  /** The value of PCR 11: the stub's measurements of the sections, and the requested phases of boot. */
  readonly value: Bytes;
  /** The measurements into PCR 11, in order. */
  readonly measurements: readonly UkiMeasurement[];
  /** Whether the image's own kernel arguments keep systemd from obeying the credentials of the machine's host. */
  readonly refusesCredentials: boolean;
}

/** The register values after an image was started. */
export interface UkiRegisters {
  /**
   * The possible values of PCR 4. The firmware measures the whole image. Without Secure Boot, it also measures the
   * kernel in the image, because the stub has the firmware load that kernel, which gives another value. Both values
   * depend only on this image and the programs before it; PCR 7 shows the state of Secure Boot.
   */
  readonly bootLoader: readonly Bytes[];
  /** The measurements into PCR 4, in order. */
  readonly started: readonly UkiMeasurement[];
  /** The possible values of PCR 11, in the order of the profiles. The first is that of an image without choices. */
  readonly kernelImages: readonly KernelImage[];
  /** Remarks for the users of the values, as sentences without a full stop. */
  readonly remarks: readonly string[];
}

/** How an image is started. */
export interface UkiStart {
  /**
   * The words that systemd-pcrphase measures into PCR 11 before evidence is made, in order, such as `enter-initrd`.
   */
  readonly phases?: readonly string[];
  /** The programs that run before the image, in order. Default: the firmware starts the image itself. */
  readonly programs?: readonly BootProgram[];
}

/** The register into which systemd-stub measures the sections of its image. */
export const KERNEL_IMAGE_REGISTER = 11;

const ARGUMENTS_SECTION = ".cmdline";
/** The first version of kernels that the stub has the firmware load (`pe_kernel_info()`). */
const LOADED_KERNEL_VERSION = 1;
const PHASE = /^[a-z][a-z-]{0,31}$/;

/**
 * Computes the registers after an image was started.
 *
 * The stub measures external kernel arguments, credentials, add-ons and extensions into other registers (PCR 12 and 13).
 * Under Secure Boot, the stub bypasses the firmware's checks when it loads its kernel, so the firmware does not measure
 * the kernel. Without Secure Boot, the firmware does (`src/boot/linux.c`, `secure-boot.c`). The firmware never loads a
 * kernel whose EFI stub is older than 1.0.
 *
 * @param file The image.
 * @param what The image's name in errors, such as its path.
 * @param start How the image is started.
 * @throws {BootstrapError} `malformed/pe`, `malformed/uki` for an image whose sections the stub would read differently,
 *   `usage/uki-stub` for a stub that is not of systemd 252 to 257, `usage/phase`.
 */
export async function ukiRegisters(
  file: Uint8Array,
  what: string,
  { phases = [], programs = [] }: UkiStart = {},
): Promise<UkiRegisters> {
  const image = readPeImage(file, what);
  const rules = stubRules(image, what);
  const cases = usedSections(image, rules, what);
  const phaseMeasurements = await Promise.all(phases.map(phaseMeasurement));
  const measured = new Map<PeSection, UkiMeasurement>();
  const kernelImages: KernelImage[] = [];
  for (const used of cases) {
    const measurements: UkiMeasurement[] = [];
    for (const name of rules.measured) {
      const section = used.sections.get(name);
      if (section === undefined) continue;
      const content = measured.get(section) ?? contentMeasurement(image, section);
      measured.set(section, content);
      measurements.push(
        await measurement(KERNEL_IMAGE_REGISTER, `EV_IPL ${name}, its name`, utf8(`${name}\0`)),
        content,
      );
    }
    measurements.push(...phaseMeasurements);
    kernelImages.push({
      name: nameOf(image, used),
      profile: used.profile,
      value: await extendedBy(measurements),
      measurements,
      refusesCredentials: turnsOffCredentials(textOf(image, used, ARGUMENTS_SECTION)),
    });
  }
  const started = await startMeasurements(programs, image);
  const kernels = new Set(cases.map(({ sections }) => sections.get(KERNEL_SECTION)));
  const chains: UkiMeasurement[][] = [];
  for (const section of kernels) {
    if (section === undefined) throw ukiError(what, `it has no ${KERNEL_SECTION}`);
    const kernel = readPeImage(contentOf(image, section), `${what}, ${KERNEL_SECTION}`);
    if (kernel.majorImageVersion >= LOADED_KERNEL_VERSION) {
      chains.push([...started, kernelMeasurement(KERNEL_SECTION, kernel)]);
    }
  }
  chains.push([...started]);
  return {
    bootLoader: await Promise.all(chains.map(extendedBy)),
    started: [...new Set(chains.flat())],
    kernelImages,
    remarks: [
      ...remarksOn(what, kernelImages, programs),
      ...([...kernels].some((section) => section !== undefined && isFilled(section))
        ? [
          `PCR 4 and PCR 11: the kernel of ${what} is longer in memory than in the file, as ukify 257.0 to 257.2 ` +
          "declares it, so the values hold for firmware that fills the rest with zeros",
        ]
        : []),
    ],
  };
}

function contentMeasurement(image: PeImage, section: PeSection): UkiMeasurement {
  const content = contentOf(image, section);
  const digest = new Uint8Array(createHash("sha256").update(content).digest());
  return hashed(KERNEL_IMAGE_REGISTER, `EV_IPL ${section.name}, ${content.length} bytes`, digest);
}

function phaseMeasurement(phase: string): Promise<UkiMeasurement> {
  if (!PHASE.test(phase)) {
    throw new BootstrapError("usage/phase", `Cannot use ${JSON.stringify(phase)} as a phase of boot`, {
      next: "Give words such as enter-initrd, with colons in between",
    });
  }
  return measurement(KERNEL_IMAGE_REGISTER, `systemd-pcrphase ${phase}`, utf8(phase));
}

/** Names a case. The ID of a profile is text of the image, so only plain characters are shown. */
function nameOf(image: PeImage, used: UsedSections): string {
  const isProfile = used.sections.has(".profile");
  const [, id] = /^ID="?([\w.+-]{1,64})"?$/m.exec(textOf(image, used, ".profile")) ?? [];
  return [
    ...(isProfile ? [`profile ${used.profile}${id === undefined ? "" : ` (${id})`}`] : []),
    ...(used.deviceTree === undefined ? [] : [`device tree of section ${used.deviceTree}`]),
  ].join(", ");
}

function textOf(image: PeImage, { sections }: UsedSections, name: string): string {
  const section = sections.get(name);
  return section === undefined ? "" : new TextDecoder().decode(contentOf(image, section)).replace(/\0+$/, "");
}

function remarksOn(
  what: string,
  kernelImages: readonly KernelImage[],
  programs: readonly BootProgram[],
): readonly string[] {
  const others = [...new Set(kernelImages.filter(({ profile }) => profile !== 0).map(({ name }) => name))];
  return [
    ...programs.flatMap(({ name, problem }) =>
      problem === undefined
        ? []
        : [`PCR 12: a machine that is started by ${name} cannot join if the image has kernel arguments: ${problem}`]
    ),
    ...(others.length === 0 ? [] : [
      `PCR 12: the stub of ${what} measures the number of a profile other than profile 0 into PCR 12, which must hold ` +
      `the trust part only, so a machine that boots one of them cannot join: ${others.join("; ")}`,
    ]),
  ];
}
