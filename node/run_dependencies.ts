/**
 * What a run of the bootstrapper, and each of its contenders, works with.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import type { Journals } from "../journal/journals.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import type { Log } from "../platform/log.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { ImageFinding } from "./image_measured.ts";
import type { NodePaths } from "./paths.ts";
import type { NodeCheck } from "./preflight.ts";
import type { StatusWriter } from "./status.ts";

/** What `run` runs on. */
export interface RunDependencies {
  /** The node's configuration. */
  readonly configuration: NodeConfiguration;
  /** What the node calls itself. */
  readonly self: NodeSelf;
  /** Where everything is. */
  readonly paths: NodePaths;
  /** Makes the node's evidence. */
  readonly issuer: EvidenceIssuer;
  /** What the node measures into; none where its evidence proves nothing. */
  readonly registers?: MeasurementRegisters;
  /** What of the image is not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** Other programs. */
  readonly commands: CommandRunner;
  /** Time. */
  readonly clock: Clock;
  /** What happens. */
  readonly log: Log;
  /** Stands around each step; only for tests, which end the process there. */
  readonly aroundStep?: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

/** What a contender for the node's lock works with. */
export interface Contender {
  /** What the run has. */
  readonly deps: RunDependencies;
  /** The node's lock, read. */
  readonly lock: NodeLock;
  /** Makes evidence, but not while the lock is being taken. */
  readonly issuer: EvidenceIssuer;
  /** The contender's journal. */
  readonly journals: Journals;
  /** kubeadm on this node. */
  readonly kubeadm: Kubeadm;
  /** The node's status. */
  readonly status: StatusWriter;
  /** What must hold before the lock. */
  readonly checks: readonly NodeCheck[];
  /** What the node waits for while both run, as a sentence. */
  readonly waitsFor: string;
  /** Ends the contender; its reason says why. */
  readonly signal: AbortSignal;
  /** Says that this contender has the node. */
  onLocked(): void;
}
