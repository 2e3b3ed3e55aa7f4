/**
 * Checks of this node that must pass before it is locked, besides Kubernetes' own.
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
}

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
