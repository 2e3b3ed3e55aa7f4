/**
 * The EFI programs of systemd, by the name and version that they carry.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { PeImage } from "./pe.ts";

/** A program of systemd. */
export interface SystemdProgram {
  /** `systemd-stub`, `systemd-boot` or `systemd-addon`. */
  readonly name: string;
  /** The major version. */
  readonly version: number;
}

/** How one version of systemd-stub measures sections into PCR 11. */
export interface StubRules {
  readonly version: number;
  /** The measured sections, in order. */
  readonly measured: readonly string[];
  /**
   * Whether the stub compares whole names and takes the first section of a name. Earlier versions take the last section
   * whose name begins with the wanted one.
   */
  readonly comparesWholeNames: boolean;
  /** Whether the stub knows profiles, and selects a `.dtbauto` section by the machine. */
  readonly knowsProfiles: boolean;
}

/** The first version whose sections are known. */
export const FIRST_STUB = 252;
/** The last version whose sections are known. */
export const LAST_STUB = 257;
/** The first version of systemd-boot that does not repeat the `.cmdline` of an image, measured, as its arguments. */
const SILENT_BOOT = 257;
/** The first version of systemd-stub that measures `.uname` and `.sbat` (`src/fundamental/tpm-pcr.h`). */
const MEASURES_SBAT = 254;
/** The first version that measures `.ucode` (`src/fundamental/uki.h`). */
const MEASURES_UCODE = 256;
/** The first version that knows profiles, `.dtbauto` and `.hwids` (`src/fundamental/uki.h`, `src/boot/pe.c`). */
const KNOWS_PROFILES = 257;

const WHOLE_MAGIC = /^#### LoaderInfo: (systemd-[a-z]{1,16}) v?(\d{1,9})(?!\d)[^#]* ####\0*$/;
const MAGIC = /#### LoaderInfo: (systemd-[a-z]{1,16}) v?(\d{1,9})(?!\d)[^#\0]{0,128} ####\0/g;
const MAGIC_SECTION = ".sdmagic";
/** The sections that build tools add behind those of the program itself. */
const ADDED_SECTIONS: readonly string[] = [
  ...[".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".pcrsig", ".pcrpkey"],
  ...[".profile", ".dtbauto", ".hwids", ".efifw"],
];
/** The limit on what is searched for a name. The programs of systemd have a few hundred KiB. */
const MAXIMUM_PROGRAM_BYTES = 1 << 20;

/** Returns which program of systemd an image is or begins with, if it is one. */
export function systemdProgram(image: PeImage): SystemdProgram | undefined {
  const magic = image.sections.find(({ name }) => name === MAGIC_SECTION);
  if (magic !== undefined) {
    const { rawOffset, rawSize, virtualSize } = magic;
    const length = Math.min(rawSize, virtualSize, MAXIMUM_PROGRAM_BYTES);
    return programOf(WHOLE_MAGIC.exec(latin1(image.bytes.subarray(rawOffset, rawOffset + length))));
  }
  const found = [...latin1(ownBytes(image)).matchAll(MAGIC)].map(programOf);
  // Two names that differ name none.
  const [first, ...more] = found;
  return more.every((one) => one?.name === first?.name && one?.version === first?.version) ? first : undefined;
}

/**
 * The bytes before the first added section. Linkers that make no `.sdmagic` put the name into `.data` or behind it, in
 * no section at all, as Debian 12 does for AArch64.
 */
function ownBytes({ bytes, headerBytes, sections }: PeImage): Uint8Array {
  const added = sections.filter(({ name }) => ADDED_SECTIONS.includes(name)).map(({ rawOffset }) => rawOffset);
  return bytes.subarray(headerBytes, Math.min(...added, headerBytes + MAXIMUM_PROGRAM_BYTES));
}

function programOf(match: RegExpMatchArray | null): SystemdProgram | undefined {
  const [, name, version] = match ?? [];
  return name === undefined ? undefined : { name, version: Number(version) };
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/**
 * Returns the rules of the stub that an image begins with.
 *
 * @param what The image's name in errors, such as its path.
 * @throws {BootstrapError} `usage/uki-stub` for a stub whose rules are not known, for an add-on and for systemd-boot.
 */
export function stubRules(image: PeImage, what: string): StubRules {
  const program = systemdProgram(image);
  const { name, version } = program ?? { name: "", version: 0 };
  if (name === "systemd-addon") {
    throw stubError(
      what,
      `${what} is an add-on, which a stub measures into PCR 12. PCR 12 must hold the trust part only, so a machine that ` +
        "finds an add-on beside its image cannot join",
      "Build what the add-on adds into the image with ukify, and remove the add-on from the boot partition",
      program,
    );
  }
  if (name === "systemd-boot") {
    throw stubError(
      what,
      `${what} is systemd-boot, not a unified kernel image`,
      "Give it with --boot-loader, and the image that it starts with --uki",
      program,
    );
  }
  if (name !== "systemd-stub" || version < FIRST_STUB || version > LAST_STUB) {
    throw stubError(
      what,
      `Cannot tell what the stub of ${what} measures`,
      `Build the image with a stub of systemd ${FIRST_STUB} to ${LAST_STUB}, or make the policy from evidence of a ` +
        "machine that booted it",
      program,
    );
  }
  const knowsProfiles = version >= KNOWS_PROFILES;
  const measured = [
    ...[".linux", ".osrel", ".cmdline", ".initrd"],
    ...(version >= MEASURES_UCODE ? [".ucode"] : []),
    ...[".splash", ".dtb"],
    ...(version >= MEASURES_SBAT ? [".uname", ".sbat"] : []),
    // .pcrsig comes before .pcrpkey. It signs the result, so no version measures it.
    ".pcrpkey",
    ...(knowsProfiles ? [".profile", ".dtbauto", ".hwids"] : []),
  ];
  return { version, measured, comparesWholeNames: knowsProfiles, knowsProfiles };
}

/**
 * Says what is wrong with a version of systemd-boot, if a machine that is started by it cannot join.
 *
 * Before version 257, systemd-boot passes the `.cmdline` of an image as its arguments, and both measure them into PCR 12
 * (`image_start()` in `src/boot/efi/boot.c`).
 */
export function bootLoaderProblem({ version }: SystemdProgram): string | undefined {
  if (version >= SILENT_BOOT) return undefined;
  return `it is of version ${version}, and before version ${SILENT_BOOT} systemd-boot measures the image's kernel ` +
    "arguments into PCR 12, which must hold the trust part only";
}

function stubError(what: string, message: string, next: string, seen: SystemdProgram | undefined): BootstrapError {
  return new BootstrapError("usage/uki-stub", message, {
    next,
    details: {
      document: what,
      expected: `systemd-stub ${FIRST_STUB} to ${LAST_STUB}`,
      ...present(
        "seen",
        seen === undefined ? "no name of a program of systemd" : `${seen.name} ${seen.version}`,
      ),
    },
  });
}
