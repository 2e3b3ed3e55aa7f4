/**
 * Makes a policy's TPM section from machines and images that are known to be good.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { equalBytes, hex, sha256 } from "../../../platform/bytes.ts";
import type { MadeSection, SectionSource, SectionSources } from "../../policy/policy_section.ts";
import { inSource, sourcesError, unique } from "../../policy/policy_section.ts";
import { NO_IMPORT_ARGUMENT } from "../../uki/kernel_arguments.ts";
import type { UkiRegisters } from "../../uki/measurements.ts";
import { BOOT_LOADER_REGISTER, KERNEL_IMAGE_REGISTER } from "../../uki/measurements.ts";
import { QUOTED_PCRS } from "./constants.ts";
import { decodePayload } from "./payload.ts";
import { readPublicArea, spkiOf } from "./public_area.ts";
import { isPinned, PROTOCOL_PCRS, unmeasuredWarning, useOf } from "./registers.ts";
import { EK_PROFILES, EK_TYPES } from "./templates.ts";

type Registers = readonly Uint8Array[];

const NOTHING = new Uint8Array();

/**
 * Makes the section from all sources: every value that a source shows for a register that says what boots, and every
 * identity. Registers that differ from machine to machine or from boot to boot are left out, unless they are asked for.
 *
 * Other registers are not left out because their values differ. An operator who knows that one is meaningless names it.
 *
 * @throws {BootstrapError} `usage/policy-sources` if there is no identity, if no register is left to distinguish
 *   images, or if the endorsement keys are of several types; `malformed/…` for evidence that cannot be read.
 */
export async function makeTpmSection(sources: SectionSources): Promise<MadeSection> {
  const machines = await Promise.all(
    sources.machines.map((source) => inSource(source.name, [], () => machineOf(source))),
  );
  const ekTypes = unique(machines.map(({ ekType }) => ekType));
  if (ekTypes.length > 1) {
    throw sourcesError(
      `the sources have endorsement keys of several kinds: ${ekTypes.join(", ")}`,
      "Make all evidence with the same --ek-type",
    );
  }
  const [ekType = sources.ekType] = ekTypes;
  const identities = unique([...machines.map(({ identity }) => identity), ...sources.identities]);
  if (identities.length === 0) {
    throw sourcesError("no source says which machine is trusted", "Give evidence files, or identities with --identity");
  }
  const shown = machines.map(({ pcrs }) => pcrs);
  const unmeasured = sources.machines.flatMap(({ name }, index) => unmeasuredWarning(name, shown[index] ?? []) ?? []);
  const sets = registerSets(shown, sources);
  if (sets.size === 0) {
    throw sourcesError("no register is left to distinguish images", "Give evidence files, or images with --uki");
  }
  const pcrs = Object.fromEntries([...sets].map(([pcr, values]) => [String(pcr), values]));
  return {
    section: { ekType, pcrs, trust: { identities } },
    remarks: [...unmeasured, ...remarksOn(shown, sets, sources)],
  };
}

async function machineOf({ name, payload }: SectionSource) {
  const { pcrs, endorsementKey } = decodePayload(payload);
  const { key, template } = readPublicArea(endorsementKey, "endorsement key");
  const ekType = EK_TYPES.find((type) => equalBytes(EK_PROFILES[type].template, template));
  if (ekType === undefined) {
    throw sourcesError(`the endorsement key in ${name} is of no known kind`, "Check where it is from");
  }
  return { pcrs, ekType, identity: hex(await sha256(spkiOf(key))) };
}

/** The values of each register, in the order of the sources. */
function registerSets(
  machines: readonly Registers[],
  { images, withoutPcrs, withPcrs = [] }: SectionSources,
): ReadonlyMap<number, readonly string[]> {
  const sets = new Map<number, readonly string[]>();
  for (const pcr of QUOTED_PCRS) {
    if (PROTOCOL_PCRS.includes(pcr) || withoutPcrs.includes(pcr)) continue;
    if (!isPinned(pcr) && !withPcrs.includes(pcr)) continue;
    const values = [
      ...machines.map((pcrs) => pcrs[pcr]),
      ...images.flatMap(({ registers }) => valuesOf(registers, pcr)),
    ].filter((value) => value !== undefined);
    if (values.length > 0) sets.set(pcr, unique(values.map(hex)));
  }
  return sets;
}

function valuesOf({ bootLoader, kernelImages }: UkiRegisters, pcr: number): readonly Bytes[] {
  if (pcr === BOOT_LOADER_REGISTER) return bootLoader;
  return pcr === KERNEL_IMAGE_REGISTER ? kernelImages.map(({ value }) => value) : [];
}

function remarksOn(
  machines: readonly Registers[],
  sets: ReadonlyMap<number, readonly string[]>,
  { images, withoutPcrs, withPcrs = [] }: SectionSources,
): readonly string[] {
  const varying = QUOTED_PCRS.filter((pcr) =>
    machines.length > 1 && sets.has(pcr) &&
    unique(machines.map((pcrs) => hex(pcrs[pcr] ?? NOTHING))).length === machines.length
  );
  const isShown = (pcr: number, values: Registers) =>
    machines.some((pcrs) => values.some((value) => equalBytes(pcrs[pcr] ?? NOTHING, value)));
  const unseen = machines.length === 0
    ? []
    : images.flatMap(({ name, registers }) =>
      [BOOT_LOADER_REGISTER, KERNEL_IMAGE_REGISTER].filter((pcr) => !isShown(pcr, valuesOf(registers, pcr)))
        .map((pcr) => `No evidence file shows PCR ${pcr} of ${name}.`)
    );
  const leftOut = QUOTED_PCRS.filter((pcr) => !isPinned(pcr) && ![...withPcrs, ...withoutPcrs].includes(pcr));
  return [
    ...(machines.length === 0 ? [] : [
      "The policy pins what says which code boots:",
      ...[...sets.keys()].map((pcr) => `  PCR ${pcr}: ${useOf(pcr).holds}`),
      ...(leftOut.length === 0 ? [] : ["It leaves out, unless --with-pcr takes them:"]),
      ...leftOut.map((pcr) => `  PCR ${pcr}: ${useOf(pcr).holds}; ${useOf(pcr).leftOutBecause}`),
    ]),
    ...varying.map((pcr) =>
      `PCR ${pcr} is different in every file. If it also differs from boot to boot, leave it out with --without-pcr ${pcr}.`
    ),
    ...(withoutPcrs.length === 0 ? [] : [`Left out, as was asked for: PCR ${unique(withoutPcrs).join(", ")}.`]),
    ...unseen,
    ...images.flatMap(({ registers }) => registers.remarks.map((remark) => `${remark}.`)),
    ...images.flatMap(openToCredentials).map((name) =>
      `CREDENTIALS: the kernel arguments of ${name} lack ${NO_IMPORT_ARGUMENT}, so the host of a machine that boots it ` +
      "can hand systemd credentials that grant root. Add the argument to the image."
    ),
  ];
}

/** Names an image, and each of its profiles, whose kernel arguments let systemd obey the host. */
function openToCredentials({ name, registers }: SectionSources["images"][number]): readonly string[] {
  return unique(
    registers.kernelImages.filter(({ refusesCredentials }) => !refusesCredentials)
      .map((image) => image.name === "" ? name : `${name}, ${image.name},`),
  );
}
