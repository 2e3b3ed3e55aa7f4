/**
 * Policies from machines and images that are known to be good.
 *
 * @module
 */
import { stringify } from "yaml";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "./evidence.ts";
import type { EvidenceFile } from "./evidence_file.ts";
import { explainEvidence } from "./explain/explain.ts";
import { readPolicy } from "./policy.ts";
import { QUOTED_PCRS } from "./tpm/constants.ts";
import { decodePayload } from "./tpm/payload.ts";
import { readPublicArea, spkiOf } from "./tpm/public_area.ts";
import type { EkType } from "./tpm/templates.ts";
import { EK_PROFILES, EK_TYPES } from "./tpm/templates.ts";
import type { UkiRegisters } from "./uki/measurements.ts";
import { BOOT_LOADER_REGISTER, KERNEL_IMAGE_REGISTER } from "./uki/measurements.ts";

/** What a policy is made from. */
export interface PolicySources {
  /** Evidence files, with their names. */
  readonly files: readonly { readonly name: string; readonly file: EvidenceFile }[];
  /** Unified kernel images, with their names. */
  readonly images: readonly { readonly name: string; readonly registers: UkiRegisters }[];
  /** Identities that are trusted besides those of the files, lower-case hexadecimal. */
  readonly identities: readonly string[];
  /** Identities that may be control planes. */
  readonly controlPlanes: readonly string[];
  /** PCRs that are left out. */
  readonly withoutPcrs: readonly number[];
  /** The kind of endorsement key, where no file tells. */
  readonly ekType: EkType;
}

/** A policy that was made. */
export interface MadePolicy {
  /** The document, YAML with the remarks as comments; `readPolicy()` reads it. */
  readonly text: string;
  /** What whoever uses it should know. */
  readonly remarks: readonly string[];
}

const PROTOCOL_REGISTERS: readonly number[] = [TRUST_REGISTER, LOCK_REGISTER];

/**
 * Makes a policy: every value that a source shows for a register, and every identity.
 *
 * A register is never left out because its values differ: whoever knows that it tells nothing names it.
 *
 * @param now The time of day.
 * @throws {BootstrapError} `usage/policy-sources` where there is no identity, or nothing to tell an image by, or endorsement keys
 *   of several kinds; `refused/…` or `malformed/…` for a file whose evidence is not right in itself.
 */
export async function makePolicy(sources: PolicySources, now: () => Date): Promise<MadePolicy> {
  const machines = await Promise.all(
    sources.files.map(async ({ name, file }) => ({ name, ...await machineOf(name, file) })),
  );
  const ekTypes = new Set(machines.map(({ ekType }) => ekType));
  if (ekTypes.size > 1) {
    throw sourcesError(
      `the files have endorsement keys of several kinds: ${[...ekTypes].join(", ")}`,
      "Make all evidence with the same --ek-type",
    );
  }
  const [ekType = sources.ekType] = ekTypes;
  const identities = unique([...machines.map(({ identity }) => identity), ...sources.identities]);
  if (identities.length === 0) {
    throw sourcesError("nothing says which machines are trusted", "Give evidence files, or identities with --identity");
  }
  const sets = registerSets(machines, sources);
  if (sets.size === 0) {
    throw sourcesError("nothing is left to tell an image by", "Give evidence files, or images with --uki");
  }
  const document = {
    version: 1,
    variant: "tpm",
    tpm: {
      ekType,
      pcrs: Object.fromEntries([...sets].map(([pcr, values]) => [String(pcr), values])),
      trust: { identities },
    },
    roles: { controlPlanes: unique(sources.controlPlanes) },
  };
  const remarks = remarksOn(machines.map(({ pcrs }) => pcrs), sets, sources);
  const yaml = stringify(document, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  const text = `${remarks.map((remark) => `# ${remark.replaceAll(/\p{Cc}+/gu, " ")}\n`).join("")}${yaml}`;
  const policy = readPolicy(text, "the policy that was made");
  for (const { name, file } of sources.files) {
    const { refusal } = await explainEvidence({ file, policy, now });
    if (refusal === null) continue;
    throw new BootstrapError(refusal.code, `The evidence in ${name} is not right in itself: ${refusal.message}`, {
      details: { document: name, ...refusal.details },
      cause: refusal,
    });
  }
  return { text, remarks };
}

async function machineOf(name: string, { evidence }: EvidenceFile) {
  const found = evidence.find(({ variant }) => variant === "tpm");
  if (found === undefined) throw sourcesError(`${name} has no TPM evidence`, "Make it on a machine with a TPM");
  const { pcrs, endorsementKey } = decodePayload(found.payload);
  const { key, template } = readPublicArea(endorsementKey, "endorsement key");
  const ekType = EK_TYPES.find((type) => equalBytes(EK_PROFILES[type].template, template));
  if (ekType === undefined) {
    throw sourcesError(`the endorsement key in ${name} is of no known kind`, "Check where it is from");
  }
  return { pcrs, ekType, identity: hex(await sha256(spkiOf(key))) };
}

/** The values of each register, in the order of the sources. */
function registerSets(
  machines: readonly { readonly pcrs: readonly Uint8Array[] }[],
  { images, withoutPcrs }: PolicySources,
): ReadonlyMap<number, readonly string[]> {
  const sets = new Map<number, readonly string[]>();
  for (const pcr of QUOTED_PCRS) {
    if (PROTOCOL_REGISTERS.includes(pcr) || withoutPcrs.includes(pcr)) continue;
    const values = [
      ...machines.map(({ pcrs }) => pcrs[pcr]),
      ...images.flatMap(({ registers }) => valuesOf(registers, pcr)),
    ].filter((value) => value !== undefined);
    if (values.length > 0) sets.set(pcr, unique(values.map(hex)));
  }
  return sets;
}

function valuesOf({ bootLoader, kernelImage }: UkiRegisters, pcr: number): readonly Bytes[] {
  if (pcr === BOOT_LOADER_REGISTER) return bootLoader;
  return pcr === KERNEL_IMAGE_REGISTER ? [kernelImage] : [];
}

function remarksOn(
  machines: readonly (readonly Uint8Array[])[],
  sets: ReadonlyMap<number, readonly string[]>,
  { files, images, withoutPcrs }: PolicySources,
): readonly string[] {
  const varying = QUOTED_PCRS.filter((pcr) =>
    machines.length > 1 && sets.has(pcr) &&
    new Set(machines.map((pcrs) => hex(pcrs[pcr] ?? new Uint8Array()))).size === machines.length
  );
  const isShown = (pcr: number, values: readonly Uint8Array[]) =>
    machines.some((pcrs) => values.some((value) => equalBytes(pcrs[pcr] ?? new Uint8Array(), value)));
  const unseen = machines.length === 0
    ? []
    : images.flatMap(({ name, registers }) =>
      [BOOT_LOADER_REGISTER, KERNEL_IMAGE_REGISTER].filter((pcr) => !isShown(pcr, valuesOf(registers, pcr)))
        .map((pcr) => `No evidence file shows PCR ${pcr} of ${name}.`)
    );
  return [
    `Made from ${[...files, ...images].map(({ name }) => name).join(", ")}.`,
    "Whoever made these files is believed: use it only if you trust the machines and the images.",
    ...varying.map((pcr) =>
      `PCR ${pcr} is different in every file. If it also differs from boot to boot, leave it out with --without-pcr ${pcr}.`
    ),
    ...(withoutPcrs.length === 0 ? [] : [`Left out, as was asked for: PCR ${unique(withoutPcrs).join(", ")}.`]),
    ...unseen,
  ];
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

function sourcesError(reason: string, next: string): BootstrapError {
  return new BootstrapError("usage/policy-sources", `Cannot make a policy: ${reason}`, { next });
}
