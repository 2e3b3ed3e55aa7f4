/**
 * Checks of this node that must pass before it is locked, besides Kubernetes' own.
 *
 * @module
 */
import { join } from "node:path";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { LOCK_REGISTER } from "../attestation/evidence.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { exists } from "../platform/files.ts";
import { takenPorts } from "../platform/free_ports.ts";
import { sandboxImageProblems } from "../kubernetes/sandbox_image.ts";
import type { ImageFinding } from "./image_measured.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import type { NodePaths } from "./paths.ts";
import { swapsOf } from "./swaps.ts";

/** A clock that shows an earlier time is wrong: this program did not exist then. */
const EARLIEST_TIME = new Date("2026-01-01T00:00:00Z");

/** A check of this node. */
export interface NodeCheck {
  readonly name: string;
  /** Returns a sentence for each problem; changes nothing. */
  run(): Promise<readonly string[]>;
}

/** What the checks need. */
export interface NodeCheckFacts {
  readonly paths: NodePaths;
  readonly clock: Pick<Clock, "now">;
  /** The TPM's registers; absent if there is no TPM. */
  readonly registers?: MeasurementRegisters;
  /** The parts of the image that are not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** Whether the configuration allows an image that is not fully measured. */
  readonly allowUnmeasuredImage: boolean;
  /** The ports that must be free. */
  readonly ports: readonly number[];
  /** Runs containerd and crictl. */
  readonly commands: CommandRunner;
}

/** The port of the kubelet (`KubeletPort` in kubeadm's `constants.go`). */
const KUBELET_PORT = 10_250;
/**
 * The ports of the API server, of etcd's clients and peers, of the controller manager and of the scheduler (kubeadm's
 * `constants.go`).
 */
const CONTROL_PLANE_PORTS: readonly number[] = [6443, 2379, 2380, 10_257, 10_259];

/**
 * The ports that a node needs free before it is locked.
 *
 * @param joinServicePort The port of a control plane's join service.
 */
export function neededPorts(role: NodeRole, joinServicePort: number): readonly number[] {
  return role === "worker" ? [KUBELET_PORT] : [KUBELET_PORT, ...CONTROL_PLANE_PORTS, joinServicePort];
}

const PROC_DEADLINE_MS = 10_000;
const SANDBOX_DEADLINE_MS = 60_000;

/** Returns the checks of this node. */
export function nodeChecks(facts: NodeCheckFacts): NodeCheck[] {
  const { paths, clock, registers } = facts;
  return [
    {
      name: "clock",
      run() {
        const now = clock.now();
        return Promise.resolve(
          now >= EARLIEST_TIME ? [] : [`the clock says ${now.toISOString()}, which is in the past`],
        );
      },
    },
    {
      name: "tpm",
      async run() {
        const value = await registers?.read(LOCK_REGISTER);
        return value === undefined || value.every((byte) => byte === 0) ? [] : ["PCR 15 of a fresh node is not zero"];
      },
    },
    {
      name: "swap",
      async run() {
        // Deno itself reads files of /proc only with all permissions, which this process has given up.
        const argv = ["cat", join(paths.root, "proc/swaps")] as const;
        const listed = await facts.commands.run([...argv], { deadlineMs: PROC_DEADLINE_MS }).catch(() => undefined);
        const swaps = listed?.code === 0 ? swapsOf(listed.stdout) : [];
        return swaps.map((name) =>
          `swap is on (${name}), and the kubelet does not start with it: turn it off for good (swapoff, /etc/fstab, swap units)`
        );
      },
    },
    {
      name: "ports",
      run: () =>
        Promise.resolve(
          takenPorts(facts.ports).map((port) => `port ${port} is in use by another program: \`ss -ltnp\` names it`),
        ),
    },
    {
      name: "sandbox-image",
      // Another containerd than that of the system may run with a configuration elsewhere, which is not known here.
      run: async () =>
        await exists(join(paths.root, "etc/containerd/config.toml"))
          ? await sandboxImageProblems(facts.commands, SANDBOX_DEADLINE_MS)
          : [],
    },
    {
      name: "image",
      run: () =>
        Promise.resolve(
          facts.allowUnmeasuredImage ? [] : facts.unmeasured.map(({ check, message }) => `${check}: ${message}`),
        ),
    },
    {
      name: "leftovers",
      async run() {
        const leftovers = [
          join(paths.kubernetes, "admin.conf"),
          join(paths.kubernetes, "kubelet.conf"),
          join(paths.kubernetes, "pki", "ca.crt"),
          join(paths.kubelet, "config.yaml"),
          join(paths.kubelet, "pki"),
          join(paths.etcd, "member"),
        ];
        const found = await Promise.all(leftovers.map(async (path) => await exists(path) ? [path] : []));
        return found.flat().map((path) => `${path} is left from an earlier cluster`);
      },
    },
  ];
}

/** Runs the checks, and returns those that failed with their reasons. */
export async function failedChecks(
  checks: readonly NodeCheck[],
): Promise<readonly { readonly check: string; readonly reason: string }[]> {
  const results = await Promise.all(checks.map(async ({ name, run }) => ({ name, reasons: await run() })));
  return results.flatMap(({ name, reasons }) => reasons.map((reason) => ({ check: name, reason })));
}
