/**
 * The conditions that must hold before an init locks a node.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import type { EvidenceKind } from "../attestation/kind.ts";
import { acceptedTrust, switchesNotAllowed } from "../attestation/policy/accepted_trust.ts";
import { readPolicy } from "../attestation/policy/policy.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { missingImages } from "../kubernetes/images.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeAddresses } from "../kubernetes/new_cluster.ts";
import { nodeNetworkProblems, readNewClusterSettings } from "../kubernetes/new_cluster.ts";

/**
 * Checks that the policy of an init allows the switches of this node's configuration. The cluster's own services would
 * not admit such a node.
 *
 * @throws {BootstrapError} `precondition/insecure-switch`, `usage/document`.
 */
export function checkSwitches(policyDocument: string, { switches }: TrustPart, kinds?: readonly EvidenceKind[]): void {
  const policy = readPolicy(policyDocument, "the policy of the init", kinds);
  const [refused] = switchesNotAllowed(acceptedTrust(policy, "init"), switches);
  if (refused === undefined) return;
  const message = `The configuration of this node has ${refused}: true, which the policy of the init does not allow`;
  throw new BootstrapError("precondition/insecure-switch", message, { details: { switch: refused } });
}

/**
 * Checks that a cluster can be made by these settings on this node, as far as can be computed.
 *
 * @param node The node's addresses, and the networks of its interface.
 * @throws {BootstrapError} `usage/document` for settings that no new cluster can have.
 */
export function settingsCheck(
  clusterDocument: string,
  node: NodeAddresses,
): PreflightCheck {
  return {
    name: "settings",
    run: () => {
      const settings = readNewClusterSettings(clusterDocument, "the cluster document of the init");
      return Promise.resolve(nodeNetworkProblems(settings, node));
    },
  };
}

/** One check. It gives a sentence for each condition that does not hold; no sentence means that all is well. */
export interface PreflightCheck {
  /** The usual technical term for what is checked, such as `disk`. */
  readonly name: string;
  /** Checks, and changes nothing. */
  run(): Promise<readonly string[]>;
}

/**
 * Where a control plane's data goes, and how much of that disk must be free. Images are already present; etcd's quota
 * is 2 GiB.
 */
const DATA_FOLDER = "/var/lib";
const FREE_BYTES_NEEDED = 2 * 1024 ** 3;
const PREFLIGHT_DEADLINE_MS = 10 * 60 * 1000;

/**
 * The checks of a machine that is to be the cluster's first control plane.
 *
 * @param documents The kubeadm documents of the requested init.
 * @param signal Ends kubeadm early.
 */
export function kubernetesChecks(
  kubeadm: Pick<Kubeadm, "preflight" | "requiredImages">,
  commands: CommandRunner,
  documents: string,
  signal?: AbortSignal,
): PreflightCheck[] {
  const run = { deadlineMs: PREFLIGHT_DEADLINE_MS, ...present("signal", signal) };
  return [
    {
      name: "disk",
      async run() {
        const { bavail, bsize } = await statfs(DATA_FOLDER);
        const free = bavail * bsize;
        return free >= FREE_BYTES_NEEDED
          ? []
          : [`${DATA_FOLDER} has ${mebibytes(free)} MiB free, and ${mebibytes(FREE_BYTES_NEEDED)} MiB are needed`];
      },
    },
    {
      name: "images",
      async run() {
        const missing = await missingImages(commands, await kubeadm.requiredImages(documents, run), run.deadlineMs);
        return missing.map((image) => `the container image ${image} is not on this machine`);
      },
    },
    {
      name: "kubeadm",
      async run() {
        const failed = await kubeadm.preflight("init", documents, run);
        return failed.map(({ check, reason }) => `${check}: ${reason}`);
      },
    },
  ];
}

/**
 * Runs all checks in order.
 *
 * @param report Called with the name of each check before it runs.
 * @param signal Ends the checks before the next one; its reason is thrown.
 * @throws {BootstrapError} `precondition/preflight` with every failure. The node is as fresh as before.
 */
export async function preflight(
  checks: readonly PreflightCheck[],
  report: (detail: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const failures: [check: string, reason: string][] = [];
  for (const check of checks) {
    signal?.throwIfAborted();
    report(check.name);
    for (const reason of await check.run()) failures.push([check.name, reason]);
  }
  if (failures.length === 0) return;
  const list = failures.map(([check, reason]) => `${check}: ${reason}`);
  throw new BootstrapError("precondition/preflight", `The node is not fit for an init: ${list.join("; ")}`, {
    next: "Repair the image or the machine, and run init again; the node is still fresh",
    details: Object.fromEntries(failures.map(([check, reason], i) => [`${i + 1}. ${check}`, reason])),
  });
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}
