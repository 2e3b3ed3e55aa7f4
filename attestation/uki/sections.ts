/**
 * The sections of a unified kernel image that its stub uses, for each profile and device tree.
 *
 * @module
 */
import { concat } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { PeImage, PeSection } from "./pe.ts";
import { overlapsInMemory } from "./pe.ts";
import type { StubRules } from "./systemd_program.ts";

/** The sections that the stub uses in one case. */
export interface UsedSections {
  /** The number of the profile, from 0. */
  readonly profile: number;
  /** The position of the selected `.dtbauto` section in the section table, if one is selected. */
  readonly deviceTree?: number;
  /** The used sections by their names. Empty sections count as missing. */
  readonly sections: ReadonlyMap<string, PeSection>;
}

/** The section with the kernel. */
export const KERNEL_SECTION = ".linux";
const PROFILE = ".profile";
const DEVICE_TREE = ".dtbauto";
/** The limit on cases: 256 profiles, as systemd allows (`UNIFIED_PROFILES_MAX`), of one device tree. */
const MAXIMUM_CASES = 256;
/** The limit on a kernel in memory, which is what it needs to unpack itself. */
const MAXIMUM_KERNEL_BYTES = 1 << 27;

/**
 * Returns the cases in which the stub starts the image: each profile, with each device tree that the stub may select
 * for a machine, and with none.
 *
 * An image has several sections of one name only if they belong to different profiles. In all other cases the stub would
 * use one of them without a word, so such images are refused.
 *
 * @throws {BootstrapError} `malformed/uki`.
 */
export function usedSections(image: PeImage, rules: StubRules, what: string): readonly UsedSections[] {
  const profiles = profilesOf(image.sections, rules, what);
  const cases = profiles.flatMap(({ sections, deviceTrees }, profile): UsedSections[] => [
    { profile, sections },
    ...deviceTrees.map((section): UsedSections => ({
      profile,
      deviceTree: image.sections.indexOf(section),
      sections: new Map([...sections, [DEVICE_TREE, section]]),
    })),
  ]);
  if (cases.length > MAXIMUM_CASES) {
    throw ukiError(
      what,
      `it has ${cases.length} combinations of profiles and device trees, more than ${MAXIMUM_CASES}`,
    );
  }
  const used = new Set(cases.flatMap(({ sections }) => [...sections.values()]));
  for (const section of used) checkContent(image, section, what);
  return cases;
}

/**
 * Returns the bytes in memory of a section that {@linkcode usedSections} returned. Firmware and shim fill what the file
 * does not have with zeros.
 */
export function contentOf({ bytes }: PeImage, section: PeSection): Uint8Array {
  const { rawOffset, rawSize, virtualSize } = section;
  const content = bytes.subarray(rawOffset, rawOffset + Math.min(rawSize, virtualSize));
  return isFilled(section) ? concat(content, new Uint8Array(virtualSize - rawSize)) : content;
}

/** Whether a section is longer in memory than in the file. */
export function isFilled({ rawSize, virtualSize }: PeSection): boolean {
  return virtualSize > rawSize;
}

interface ProfileSections {
  readonly sections: ReadonlyMap<string, PeSection>;
  readonly deviceTrees: readonly PeSection[];
}

function profilesOf(all: readonly PeSection[], rules: StubRules, what: string): readonly ProfileSections[] {
  const starts = all.flatMap(({ name }, index) => name === PROFILE ? [index] : []);
  const [first] = starts;
  if (!rules.knowsProfiles) {
    if (first !== undefined) {
      throw ukiError(
        what,
        `it has profiles, and its stub is of systemd ${rules.version}, which knows none`,
        "Build the image with the stub of systemd 257",
      );
    }
    return [chosen(all, rules, what)];
  }
  const base = chosen(all.slice(0, first), rules, what);
  if (first === undefined) return [base];
  return starts.map((start, index) => {
    const own = chosen(all.slice(start, starts[index + 1]), rules, what);
    return {
      sections: new Map([...base.sections, ...own.sections]),
      deviceTrees: [...base.deviceTrees, ...own.deviceTrees],
    };
  });
}

/** Chooses one section for each name, out of one profile. */
function chosen(all: readonly PeSection[], rules: StubRules, what: string): ProfileSections {
  const sections = new Map<string, PeSection>();
  let deviceTrees: readonly PeSection[] = [];
  for (const wanted of rules.measured) {
    const found = all.filter(({ name }) => rules.comparesWholeNames ? name === wanted : name.startsWith(wanted));
    if (wanted === DEVICE_TREE) {
      deviceTrees = found.filter(({ virtualSize }) => virtualSize > 0);
      continue;
    }
    const [section, ...more] = found;
    if (more.length > 0 || (section !== undefined && section.name !== wanted)) {
      throw ukiError(
        what,
        `it has the sections ${
          found.map(({ name }) => name).join(" and ")
        }, and its stub, of systemd ${rules.version}, ` +
          `takes ${rules.comparesWholeNames ? "the first" : "the last"} of them for ${wanted} and ignores the others`,
        `Build the image with one section ${wanted}: ukify joins several initrds`,
      );
    }
    if (section !== undefined && section.virtualSize > 0) sections.set(wanted, section);
  }
  return { sections, deviceTrees };
}

/** Checks that the bytes in the file are those that the stub finds in memory. */
function checkContent(image: PeImage, section: PeSection, what: string): void {
  const { name, virtualSize } = section;
  // ukify 257.0 to 257.2 declares the kernel's length in memory, and later versions that in the file.
  if (isFilled(section) && (name !== KERNEL_SECTION || virtualSize > MAXIMUM_KERNEL_BYTES)) {
    throw ukiError(what, `${name} is longer in memory than in the file`, "Build the image with ukify 257.3 or newer");
  }
  const other = image.sections.find((one) => one !== section && overlapsInMemory(one, section));
  if (other !== undefined) {
    throw ukiError(
      what,
      `its sections ${name} and ${other.name} overlap in memory`,
      "Build the image with the ukify and the stub of one version of systemd",
    );
  }
}

/** Returns the error for a PE image that is no unified kernel image, or not an unambiguous one. */
export function ukiError(what: string, reason: string, next?: string): BootstrapError {
  return new BootstrapError("malformed/uki", `Cannot read ${what} as a UKI: ${reason}`, {
    ...(next === undefined ? {} : { next }),
    details: { document: what },
  });
}
