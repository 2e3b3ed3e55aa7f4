/**
 * `bootstrapper nodes`: shows which machines are in the cluster, and under which image they came in.
 *
 * @module
 */
import { KubernetesApi } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { AdmissionRecord, StoredAdmission } from "../../kubernetes/node_admissions.ts";
import { imageOf, NodeAdmissions } from "../../kubernetes/node_admissions.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printable, printResult } from "../output.ts";

/** A register that a node must have shown. */
export interface RegisterFilter {
  /** The register's name, such as `pcr11`. Default: any. */
  readonly name?: string;
  /** The value, or its beginning, lower-case hexadecimal. */
  readonly value: string;
}

/** The options of `nodes`. */
export interface NodesOptions {
  readonly kubeconfigFile: string;
  /** All must match. */
  readonly registers: readonly RegisterFilter[];
  /** Whether to show removed machines too. */
  readonly all: boolean;
  readonly output: OutputForm;
}

/** A node, as the command shows it. */
export interface ShownNode {
  readonly nodeName: string;
  readonly role: AdmissionRecord["role"];
  /**
   * `Pending` before its first certificate, `Expired` after the last one. `Adopted`: the node was there before the cluster
   * had signers, and nothing is proven of its machine; the identity is none of a machine.
   */
  readonly state: "Pending" | "Admitted" | "Expired" | "Removed" | "Adopted";
  readonly identity: string;
  readonly attestedAt: string | null;
  readonly until: string | null;
  readonly image: string | null;
  readonly policyDigest: string | null;
  readonly epoch: number | null;
  readonly addresses: readonly string[];
  readonly registers: Readonly<Record<string, string>>;
}

/** Lists the admitted nodes. */
export async function nodes(options: NodesOptions, context: CliContext): Promise<void> {
  const { kubeconfigFile, registers, all, output } = options;
  using api = new KubernetesApi(await readKubeconfig(kubeconfigFile));
  const nowMs = context.clock.now().getTime();
  const shown = (await new NodeAdmissions(api).list())
    .filter(({ record }) => registers.every((filter) => hasRegister(record, filter)))
    .map((admission) => shownNode(admission, nowMs))
    .filter(({ state }) => all || state !== "Removed")
    .sort((one, other) => one.nodeName < other.nodeName ? -1 : 1);
  printResult(context, output, { nodes: shown }, nodesText(shown));
}

/** Whether a node showed a register of that value. */
export function hasRegister({ registers = {} }: AdmissionRecord, { name, value }: RegisterFilter): boolean {
  const values = name === undefined ? Object.values(registers) : [registers[name] ?? ""];
  return values.some((one) => one.toLowerCase().startsWith(value));
}

/** A node, as the command shows it at a time. */
export function shownNode({ record, removedMs, status }: StoredAdmission, nowMs: number): ShownNode {
  const { nodeName, role, identity, attestedMs, adoptedMs, policyDigest, addresses, registers = {} } = record;
  const { untilMs, epoch } = status;
  const isEnded = untilMs !== undefined && nowMs >= untilMs;
  const state = adoptedMs !== undefined
    ? "Adopted"
    : untilMs === undefined
    ? "Pending"
    : isEnded
    ? "Expired"
    : "Admitted";
  return {
    ...{ nodeName, role, identity, addresses, registers },
    state: removedMs === undefined ? state : "Removed",
    attestedAt: timeText(attestedMs),
    until: timeText(untilMs),
    image: imageOf(registers) ?? null,
    policyDigest: policyDigest ?? null,
    epoch: epoch ?? null,
  };
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

const HEADINGS = ["NODE", "ROLE", "STATE", "ATTESTED", "UNTIL", "IMAGE", "IDENTITY"];
const SHORT_DIGITS = 12;
const SECONDS = "2026-01-01T00:00:00".length;

/** A table with shortened digests and times; JSON has all of them. */
export function nodesText(shown: readonly ShownNode[]): string {
  if (shown.length === 0) return "No node matches.";
  const short = (text: string | null, length: number) => text === null ? "-" : printable(text).slice(0, length);
  const rows = shown.map(({ nodeName, role, state, attestedAt, until, image, identity }) => [
    ...[printable(nodeName), role, state, short(attestedAt, SECONDS), short(until, SECONDS)],
    ...[short(image, SHORT_DIGITS), short(identity, SHORT_DIGITS)],
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd();
  return [HEADINGS, ...rows].map(line).join("\n");
}
