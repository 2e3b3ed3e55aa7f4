/**
 * The dependencies of a run of the bootstrapper, and of each contender.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import type { KeyPair } from "../certificate/keys.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import type { CeremonyTimes } from "../founding/ceremony_parts.ts";
import type { FounderPolicy } from "../join/founder_evidence.ts";
import type { Journals } from "../journal/journals.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import type { Log } from "../platform/log.ts";
import type { OwnProgram } from "../platform/own_program.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { ImageFinding } from "./image_measured.ts";
import type { FoundMetadata } from "./metadata/metadata.ts";
import type { NodePaths } from "./paths.ts";
import type { NodeCheck } from "./preflight.ts";
import type { RunSession } from "./run_session.ts";
import type { StatusWriter } from "./status.ts";

/** The dependencies of `run`. */
export interface RunDependencies {
  readonly configuration: NodeConfiguration;
  /** The node's name, address and role. */
  readonly self: NodeSelf;
  readonly paths: NodePaths;
  /** The networks of the interface that has the node's address, CIDR. Default: none is known. */
  readonly networks?: readonly string[];
  /** The known kinds of evidence. Default: those of `attestation/kinds.ts`. */
  readonly kinds?: readonly EvidenceKind[];
  readonly issuer: EvidenceIssuer;
  /** The registers that the node measures into; absent if the machine has none. */
  readonly registers?: MeasurementRegisters;
  /** Rejects when the process that has the machine's devices ends. */
  readonly deviceEnd?: Promise<never>;
  /** The UUID that the firmware gives the machine, if it gives one. */
  readonly machineId?: string;
  /** Judges the evidence of founders, as control planes', and says which role a machine may have. */
  readonly founders?: FounderPolicy;
  /** The key pair of the founding token; absent if the node needs none. */
  readonly foundingToken?: KeyPair;
  /** What the configuration has from the machine's metadata, for the status. */
  readonly metadata?: FoundMetadata;
  /** The start that this run is part of. Default: a new one. */
  readonly session?: RunSession;
  /** The parts of the image that are not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** Starts this program itself. */
  readonly program: OwnProgram;
  /** Runs other programs. */
  readonly commands: CommandRunner;
  readonly clock: Clock;
  readonly log: Log;
  /** Other times of a founding than the usual ones. Only tests use it, which do not wait for minutes. */
  readonly foundingTimes?: Partial<CeremonyTimes>;
  /** Wraps each step. Only tests use it, to kill the process there. */
  readonly aroundStep?: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

/** The dependencies of a contender for the node's lock. */
export interface Contender {
  /** The dependencies of the run. */
  readonly deps: RunDependencies;
  /** The node's lock, already read. */
  readonly lock: NodeLock;
  /** Makes evidence, except while the lock is being taken. */
  readonly issuer: EvidenceIssuer;
  readonly journals: Journals;
  readonly kubeadm: Kubeadm;
  readonly status: StatusWriter;
  /** The checks that must pass before the lock. */
  readonly checks: readonly NodeCheck[];
  /** What the node waits for while both contenders run, as a phrase for people. */
  readonly waitsFor: string;
  /** Stops the contender; the abort reason says why. */
  readonly signal: AbortSignal;
  /** Called when this contender has taken the lock. */
  onLocked(): void;
}
