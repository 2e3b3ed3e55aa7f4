/**
 * What must hold on this node before it is locked, beside what Kubernetes needs.
 *
 * @module
 */
import { join } from "node:path";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { LOCK_REGISTER } from "../attestation/evidence.ts";
import type { Clock } from "../platform/clock.ts";
import { exists } from "../platform/files.ts";
import type { ImageFinding } from "./image_measured.ts";
import type { NodePaths } from "./paths.ts";

/** No honest clock shows a time before this program was written. */
const EARLIEST_TIME = new Date("2026-01-01T00:00:00Z");

/** A check of this node: what does not hold, a sentence each. */
export interface NodeCheck {
  /** The check's name. */
  readonly name: string;
  /** Looks, and changes nothing. */
  run(): Promise<readonly string[]>;
}

/** What the checks look at. */
export interface NodeCheckFacts {
  /** Where everything is. */
  readonly paths: NodePaths;
  /** Time. */
  readonly clock: Pick<Clock, "now">;
  /** The TPM's registers, where there is a TPM. */
  readonly registers?: MeasurementRegisters;
  /** What of the image is not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** Whether the configuration allows that. */
  readonly allowUnmeasuredImage: boolean;
}

/** The checks of this node. */
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

/** Runs checks: those that failed, with their reasons. */
export async function failedChecks(
  checks: readonly NodeCheck[],
): Promise<readonly { readonly check: string; readonly reason: string }[]> {
  const results = await Promise.all(checks.map(async ({ name, run }) => ({ name, reasons: await run() })));
  return results.flatMap(({ name, reasons }) => reasons.map((reason) => ({ check: name, reason })));
}
