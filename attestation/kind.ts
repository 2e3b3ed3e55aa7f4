/**
 * A kind of evidence, as one object. `kinds.ts` lists all kinds; no other code depends on the name of a kind.
 *
 * An object is small and loads little code. Its issuer, its verifier and its policy maker are loaded on demand, by
 * `import("…")` with a literal, so that a node starts without the verifiers and an operator's machine without the
 * issuers.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { DocumentSchema } from "../platform/document.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Collateral } from "./collateral.ts";
import type { VendorService } from "./vendor_service.ts";
import type { ExplainingVerifier, MachineEvidence, MeasurementRegisters } from "./evidence.ts";
import type { EkType } from "./kinds/tpm/templates.ts";
import type { TpmTransport } from "./kinds/tpm/transport.ts";
import type { MadeSection, SectionContext, SectionSources } from "./policy/policy_section.ts";
import type { ConfidentialDevice } from "./tsm/device.ts";

/** The devices of a machine. They are opened while the process has all permissions. */
export interface MachineDevices {
  /** The transport to the TPM; absent if the machine has no TPM. */
  readonly tpm?: TpmTransport;
  /** The devices of a confidential VM, in a process of their own; absent on other machines. */
  readonly device?: ConfidentialDevice;
  /** Whether the kernel gives the machine access to the registers of a trust domain. */
  readonly hasTdRegisters?: boolean;
}

/** The settings, besides the devices, that a kind needs to make evidence. */
export interface IssuerSettings {
  /** The type of the endorsement key, from the configuration. */
  readonly ekType: EkType;
  readonly stateFolder: string;
  readonly clock: Clock;
}

/** The dependencies of a verifier. */
export interface VerifierContext {
  /** The source of documents that vendors sign and that the evidence does not contain. */
  readonly collateral: Collateral;
  /** Returns the time of day, for the validity of certificates. */
  readonly now: () => Date;
}

/** The registers that correspond to PCR 12 and PCR 15 in evidence of a kind. */
export interface KindRegisters {
  /** Their names, for people. */
  readonly names: string;
  /** The names of the verifier's checks on them, such as `CHECK` in `refused/CHECK`. */
  readonly checks: readonly string[];
  /** The register or launch value that shows D12. */
  readonly trust: {
    /** Its name in output, such as `pcr12`. */
    readonly key: string;
    /** Whether the host sets it when it launches the machine. */
    readonly isLaunchValue: boolean;
    /** Returns its value for a digest. */
    valueOf(digest: Uint8Array): Promise<Bytes>;
  };
}

/** Sentences about the keys of a section, by their paths, such as `trust.issuers[].certificate`; the section's own is empty. */
export type SectionTexts = Readonly<Record<string, string>>;

/** A policy's section on a kind, under the kind's name. */
export interface PolicySection<Section> {
  /** Its form. */
  readonly schema: DocumentSchema<Section>;
  /** Loads what an editor shows of the section's keys. */
  readonly texts?: () => Promise<SectionTexts>;
  /** The code of the refusal for missing collateral. */
  readonly missingCollateral?: AnyErrorCode;
  /**
   * Makes the section from known good machines.
   *
   * @throws {BootstrapError} `usage/policy-sources`, `malformed/…`, `refused/…`.
   */
  make(sources: SectionSources, context: SectionContext): Promise<MadeSection>;
  /** Returns what users of a policy must know about the section, as sentences without a full stop. */
  remarks?(section: Section): readonly string[];
  /** Returns all identities that the section trusts; `undefined` if they cannot be listed. */
  identities?(section: Section): ReadonlySet<string> | undefined;
  /** Whether the section itself lists an identity; absent if sections of the kind list none. */
  lists?(section: Section, identity: string): boolean;
  /**
   * Whether the section admits only machines that it pins: by their identities, by an issuer and attributes, or by their
   * processors. Absent if a section of the kind pins none.
   */
  pins?(section: Section): boolean;
  /**
   * Returns the values of registers that the section allows, lower-case hexadecimal, by the registers' names in a node's
   * record: those that tell images apart. Absent if sections of the kind name none.
   */
  imageRegisters?(section: Section): ReadonlyMap<string, readonly string[]>;
  /** Whether the section trusts an identity; absent if sections of the kind list no identities. */
  trusts?(section: Section, identity: string): boolean;
}

/** The registers of a kind that an event log explains. */
export interface LoggedRegisters {
  /** What people call a register, before its number: `PCR`. */
  readonly name: string;
  /** Which log of an evidence file explains them. */
  readonly log: "eventLog" | "ccEventLog";
  /** The check that compares a register with a policy. */
  checkOf(index: number): string;
  /**
   * Returns the registers in evidence, from 0.
   *
   * @throws {BootstrapError} `malformed/…`.
   */
  read(payload: Uint8Array): Promise<readonly Uint8Array[]>;
}

/** The unverified facts in evidence of one kind. */
export interface EvidenceFacts {
  /** The machine's identity, lower-case hexadecimal, if evidence of the kind contains it. */
  readonly identity?: string;
  /** The machine gets a new identity at each start. */
  readonly isEphemeral?: true;
  /** The facts as JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Remarks for people, as sentences. */
  readonly remarks: readonly string[];
  /** Reasons not to make a policy from this machine, as sentences. Default: none. */
  readonly warnings?: readonly string[];
}

/**
 * A kind of evidence.
 *
 * @typeParam Section The policy's section on the kind. `createVerifier` and `trusts` receive only values that `schema`
 *   produced.
 */
export interface EvidenceKind<Section = unknown> {
  /** The kind's name in configurations, policies and evidence: two to sixteen lower-case letters. */
  readonly name: string;
  /**
   * Whether the kind proves nothing. Such a kind cannot be combined with others, must be allowed explicitly, and admits
   * no control planes by a join.
   */
  readonly isInsecure?: true;
  /** The component that makes the evidence, if a machine has only one. No machine has two kinds with the same value. */
  readonly exclusive?: "processor";
  /**
   * Whether a configuration names an endorsement key for the kind, and policies can be made from images without
   * evidence.
   */
  readonly hasEndorsementKey?: true;
  /** The questions that evidence of this kind in a file leaves open, as sentences without a full stop. */
  readonly openInFiles?: readonly string[];
  /** The registers that correspond to PCR 12 and PCR 15; absent if there are none. */
  readonly registers?: KindRegisters;
  /** Loads the service that gives collateral for the kind; absent if it needs none. */
  readonly vendorService?: () => Promise<VendorService>;
  /** The policy's section on the kind; absent if policies have none. */
  readonly section?: PolicySection<Section>;
  /**
   * Makes evidence of this machine.
   *
   * @throws {BootstrapError} `precondition/no-…` if the machine lacks the device.
   */
  open(devices: MachineDevices, settings: IssuerSettings): Promise<MachineEvidence>;
  /**
   * Returns the registers of this machine that can be extended although the configuration does not name the kind;
   * `undefined` if the machine has none. Absent if the kind has no such registers.
   */
  openRegisters?(devices: MachineDevices, settings: IssuerSettings): Promise<MeasurementRegisters | undefined>;
  /** Creates a verifier from a policy's section, which is `undefined` if the kind has none. */
  createVerifier(section: Section, context: VerifierContext): ExplainingVerifier;
  /**
   * Returns the facts in evidence that do not go into a policy, for the people who make the policy.
   *
   * @throws {BootstrapError} `malformed/…`.
   */
  facts(payload: Uint8Array): Promise<EvidenceFacts>;
  /** The registers that an event log explains; absent if the kind has none. */
  readonly logged?: LoggedRegisters;
}

/**
 * Returns the kind with a name.
 *
 * @throws {BootstrapError} `internal/evidence` if there is none. Names from outside are checked when they are read.
 */
export function kindNamed(kinds: readonly EvidenceKind[], name: string): EvidenceKind {
  const kind = kinds.find((one) => one.name === name);
  if (kind !== undefined) return kind;
  throw new BootstrapError("internal/evidence", `No kind of evidence is called ${name}`);
}

/**
 * Returns the default kind, the first of the list, for configurations that name none and policies made without
 * evidence.
 */
export function defaultKind(kinds: readonly EvidenceKind[]): EvidenceKind {
  const [first] = kinds;
  if (first !== undefined) return first;
  throw new BootstrapError("internal/evidence", "There is no kind of evidence");
}

/** Returns the names of the kinds that prove nothing, for messages. */
export function insecureNames(kinds: readonly EvidenceKind[]): readonly string[] {
  return kinds.filter(({ isInsecure }) => isInsecure === true).map(({ name }) => name);
}

/** Returns two of the kinds that no machine can have both of; `undefined` if there are none. */
export function exclusivePair(kinds: readonly EvidenceKind[]): readonly [EvidenceKind, EvidenceKind] | undefined {
  for (const [index, first] of kinds.entries()) {
    const second = kinds.slice(index + 1).find(({ exclusive }) =>
      exclusive !== undefined && exclusive === first.exclusive
    );
    if (second !== undefined) return [first, second];
  }
  return undefined;
}

/** Creates a verifier whose code is loaded when the first evidence arrives. */
export function lazyVerifier(
  kind: Pick<ExplainingVerifier, "variant" | "identityIsKey">,
  load: () => Promise<ExplainingVerifier>,
): ExplainingVerifier {
  let loading: Promise<ExplainingVerifier> | undefined;
  return {
    ...kind,
    async verify(evidence, statement, expectation, report) {
      // A failed load is tried again by the next evidence.
      const verifier = await (loading ??= load().catch((error) => {
        loading = undefined;
        throw error;
      }));
      return await verifier.verify(evidence, statement, expectation, report);
    },
  };
}
