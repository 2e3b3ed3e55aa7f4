/**
 * A kind of evidence, as one object. `kinds.ts` lists them; nothing else knows a kind by its name.
 *
 * An object is small and loads little: what issues, verifies or makes policies is loaded by `import("…")` with a literal when it is
 * asked for, so that a node starts without the verifiers and a laptop without the issuers.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { DocumentSchema } from "../platform/document.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Collateral } from "./collateral.ts";
import type { ExplainingVerifier, MachineEvidence } from "./evidence.ts";
import type { EkType } from "./kinds/tpm/templates.ts";
import type { TpmTransport } from "./kinds/tpm/transport.ts";
import type { MadeSection, SectionContext, SectionSources } from "./policy/policy_section.ts";
import type { ConfidentialDevice } from "./tsm/device.ts";

/** The devices of a machine, opened while the process had all permissions. */
export interface MachineDevices {
  /** The way to the TPM; none where the machine has none. */
  readonly tpm?: TpmTransport;
  /** The devices of a confidential VM, in a process of their own; none where the machine is none. */
  readonly device?: ConfidentialDevice;
}

/** What a kind needs besides devices to make evidence. */
export interface IssuerSettings {
  /** The endorsement key that the configuration names. */
  readonly ekType: EkType;
  /** The node's state folder. */
  readonly stateFolder: string;
  readonly clock: Clock;
}

/** What a verifier works with. */
export interface VerifierContext {
  /** Where to look for what vendors sign and the evidence does not bring. */
  readonly collateral: Collateral;
  /** The time of day, for certificates. */
  readonly now: () => Date;
}

/** What stands for PCR 12 and PCR 15 in evidence of a kind. */
export interface KindRegisters {
  /** Their names, for people. */
  readonly names: string;
  /** The verifier's checks on them, as in `refused/CHECK`. */
  readonly checks: readonly string[];
  /** What shows D12. */
  readonly trust: {
    /** Its name in output, such as `pcr12`. */
    readonly key: string;
    /** Whether the host gives it to the machine at its launch. */
    readonly isLaunchValue: boolean;
    /** Its value. */
    valueOf(digest: Uint8Array): Promise<Bytes>;
  };
}

/** The section of a policy about a kind, under the kind's name. */
export interface PolicySection<Section> {
  /** Its form. */
  readonly schema: DocumentSchema<Section>;
  /** The code of the refusal for collateral that is nowhere. */
  readonly missingCollateral?: AnyErrorCode;
  /**
   * Makes the section from machines that are known to be good.
   *
   * @throws {BootstrapError} `usage/policy-sources`, `malformed/…`, `refused/…`.
   */
  make(sources: SectionSources, context: SectionContext): Promise<MadeSection>;
  /** Whether the section trusts an identity; absent where sections of the kind name no identities. */
  trusts?(section: Section, identity: string): boolean;
}

/** What evidence of one kind says, unverified. */
export interface EvidenceFacts {
  /** The machine's identity, lower-case hexadecimal, where evidence of the kind says it. */
  readonly identity?: string;
  /** That the identity is made anew each time the machine starts. */
  readonly isEphemeral?: true;
  /** As JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** As sentences. */
  readonly remarks: readonly string[];
}

/**
 * A kind of evidence.
 *
 * @typeParam Section What a policy says of it. `createVerifier` and `trusts` get only what `schema` made.
 */
export interface EvidenceKind<Section = unknown> {
  /** Its name in configurations, policies and evidence: two to sixteen lower-case letters. */
  readonly name: string;
  /** Whether it proves nothing: it goes with no other kind, must be allowed explicitly, and makes no control planes by a join. */
  readonly isInsecure?: true;
  /** What makes it, where a machine has at most one of those: no machine has two kinds of the same. */
  readonly exclusive?: "processor";
  /** Whether a configuration names an endorsement key for it, and policies are made for it without evidence: from images. */
  readonly hasEndorsementKey?: true;
  /** What evidence of this kind in a file leaves open, as sentences without a full stop. */
  readonly openInFiles?: readonly string[];
  /** What stands for PCR 12 and PCR 15; absent where nothing does. */
  readonly registers?: KindRegisters;
  /** The section of a policy; absent where a policy has nothing to say. */
  readonly section?: PolicySection<Section>;
  /**
   * Makes evidence of this machine.
   *
   * @throws {BootstrapError} `precondition/no-…` where the machine lacks the device.
   */
  open(devices: MachineDevices, settings: IssuerSettings): Promise<MachineEvidence>;
  /** Makes a verifier by a policy's section, `undefined` where the kind has none. */
  createVerifier(section: Section, context: VerifierContext): ExplainingVerifier;
  /**
   * What evidence says besides what a policy holds, for the people who make one.
   *
   * @throws {BootstrapError} `malformed/…`.
   */
  facts(payload: Uint8Array): Promise<EvidenceFacts>;
  /**
   * The PCRs in evidence, from 0, which an event log explains; absent where the kind has none.
   *
   * @throws {BootstrapError} `malformed/…`.
   */
  pcrs?(payload: Uint8Array): Promise<readonly Uint8Array[]>;
}

/**
 * The kind of a name.
 *
 * @throws {BootstrapError} `internal/evidence` if there is none: names are checked where they are read.
 */
export function kindNamed(kinds: readonly EvidenceKind[], name: string): EvidenceKind {
  const kind = kinds.find((one) => one.name === name);
  if (kind !== undefined) return kind;
  throw new BootstrapError("internal/evidence", `No kind of evidence is called ${name}`);
}

/** The kind that a configuration without one means, and a policy made from no evidence: the first. */
export function defaultKind(kinds: readonly EvidenceKind[]): EvidenceKind {
  const [first] = kinds;
  if (first !== undefined) return first;
  throw new BootstrapError("internal/evidence", "There is no kind of evidence");
}

/** The names of the kinds that prove nothing, for messages. */
export function insecureNames(kinds: readonly EvidenceKind[]): readonly string[] {
  return kinds.filter(({ isInsecure }) => isInsecure === true).map(({ name }) => name);
}

/** Two of the kinds that no machine has both of; none if there are none. */
export function exclusivePair(kinds: readonly EvidenceKind[]): readonly [EvidenceKind, EvidenceKind] | undefined {
  for (const [index, first] of kinds.entries()) {
    const second = kinds.slice(index + 1).find(({ exclusive }) =>
      exclusive !== undefined && exclusive === first.exclusive
    );
    if (second !== undefined) return [first, second];
  }
  return undefined;
}

/** A verifier whose code is loaded when the first evidence comes. */
export function lazyVerifier(variant: string, load: () => Promise<ExplainingVerifier>): ExplainingVerifier {
  let loading: Promise<ExplainingVerifier> | undefined;
  return {
    variant,
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
