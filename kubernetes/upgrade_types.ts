/**
 * The parts of a plan of an upgrade.
 *
 * @module
 */
import type { SurveyedNode } from "./cluster_survey.ts";
import type { UpgradeSurvey } from "./upgrade_survey.ts";

/** A node that the policy would no longer let in with the image that it shows. */
export interface EndedNode {
  readonly nodeName: string;
  /** The names of the registers that the policy does not allow. */
  readonly registers: readonly string[];
}

/** From what a plan is made. */
export interface UpgradeFacts {
  readonly survey: UpgradeSurvey;
  /** The version to upgrade to, such as `v1.37.2`. */
  readonly to: string;
  /** The versions of the programs on the machine that plans, as far as it has them. */
  readonly here: { readonly kubeadm?: string; readonly kubelet?: string };
  /** The live nodes that the policy ends. */
  readonly ended: readonly EndedNode[];
  /** The names of live nodes that have no register on record with which the policy could be compared. */
  readonly unknown: readonly string[];
}

/** Why an upgrade cannot begin, or not go on. */
export interface UpgradeBlock {
  /** What was looked at, such as `minor-skipped`. */
  readonly check: string;
  /** The node, if it is one's. */
  readonly nodeName: string | null;
  readonly message: string;
  /** What to do. */
  readonly next: string;
}

/** A machine and its versions now. */
export interface PlannedMachine {
  readonly nodeName: string;
  readonly role: SurveyedNode["role"];
  readonly isReady: boolean;
  /** The version of its API server; `null` on a worker, and where the image's name does not tell. */
  readonly apiServer: string | null;
  readonly kubelet: string;
}

/** A step of an upgrade. */
export interface UpgradeStep {
  readonly nodeName: string;
  readonly action: "snapshot" | "control-plane" | "kubelet";
  readonly what: string;
  /** What an administrator types on the machine, or where the text says so, elsewhere. */
  readonly commands: readonly string[];
  readonly wayBack: string;
}

/** A plan. */
export interface UpgradePlan {
  readonly from: string;
  readonly to: string;
  readonly state: "done" | "blocked" | "ready";
  readonly blocks: readonly UpgradeBlock[];
  /** What to know, as sentences. */
  readonly remarks: readonly string[];
  readonly machines: readonly PlannedMachine[];
  /** In their order. No step begins before the one before it is done. */
  readonly steps: readonly UpgradeStep[];
}
