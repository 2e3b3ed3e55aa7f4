/**
 * `bootstrapper status`: shows the state of this node, and what it waits for.
 *
 * @module
 */
import { clusterIdText } from "../../certificate/cluster_id.ts";
import type { NodeStatus, StatusRefusal } from "../../node/status.ts";
import { readStatus } from "../../node/status.ts";
import type { RenewalRecord } from "../../node/renewal_record.ts";
import { readRenewalRecord } from "../../node/renewal_record.ts";
import { readTimeline } from "../../node/timeline.ts";
import { timelineSvg } from "../../node/timeline_svg.ts";
import { timelineText } from "../../node/timeline_text.ts";
import { LockFile } from "../../nodelock/file.ts";
import type { LockRecord } from "../../nodelock/record.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { factsBeside, printable, printResult } from "../output.ts";

/** The options of `status`. */
export interface StatusOptions {
  readonly output: OutputForm;
  /** Whether to print only the timeline, as an SVG picture. */
  readonly isSvg: boolean;
}

/**
 * Prints the status of this node, from the files that the bootstrapper has written.
 *
 * A status or a record of certificates that cannot be read is said in its place, and hides nothing else.
 *
 * @throws {BootstrapError} `malformed/…` for the lock or the timeline, `system/file`, `usage/output` for `--svg`
 *   together with JSON.
 */
export async function status(options: StatusOptions, context: CliContext): Promise<void> {
  const { output, isSvg } = options;
  const { paths, clock, terminal } = context;
  const nowMs = clock.now().getTime();
  const timeline = await readTimeline(paths.timeline);
  if (isSvg) {
    if (output === "json") {
      throw new BootstrapError("usage/output", "Cannot print a picture as JSON: remove --svg or --output json");
    }
    return context.print(timelineSvg(timeline, { title: "Bootstrap of this node", nowMs }));
  }
  const lock = await new LockFile(paths.state).read();
  const document = await readable(readStatus(paths.status));
  const renewal = await readable(readRenewalRecord(paths.state));
  const unreadable = [document, renewal].flatMap(({ error }) => error === undefined ? [] : [error]);
  const result = {
    lock: lock === undefined ? null : lockJson(lock),
    status: document.value ?? null,
    renewal: renewal.value ?? null,
    timeline: timeline.phases,
    ...(unreadable.length === 0 ? {} : { unreadable: unreadable.map(({ code, message }) => ({ code, message })) }),
  };
  const lines = [
    ...lockLines(lock),
    ...(document.error === undefined ? statusLines(document.value) : [unreadableLine("phase", document.error)]),
    ...(renewal.error === undefined
      ? renewalLines(renewal.value, nowMs)
      : [unreadableLine("certificates", renewal.error)]),
  ];
  const table = lines.map(([label, value]) => `${label.padEnd(14)}${printable(value)}\n`).join("");
  printResult(context, output, result, `${table}\n${timelineText(timeline, { nowMs, width: terminal.columns })}`);
}

/** What a file has, or why it cannot be read. */
interface Readable<T> {
  readonly value?: T;
  readonly error?: BootstrapError;
}

async function readable<T>(reading: Promise<T | undefined>): Promise<Readable<T>> {
  try {
    return present("value", await reading);
  } catch (cause) {
    return { error: asBootstrapError(cause) };
  }
}

function unreadableLine(label: string, { code, message }: BootstrapError): Line {
  return [label, `not readable: ${message} [${code}]`];
}

type Line = readonly [label: string, value: string];

function lockJson({ owner, clusterId, time }: LockRecord): Readonly<Record<string, string>> {
  return { owner, clusterId: clusterIdText(clusterId), time: time.toISOString() };
}

function lockLines(lock: LockRecord | undefined): Line[] {
  if (lock === undefined) return [["lock", "none: this node belongs to no cluster yet"]];
  return [
    ["lock", `taken by ${lock.owner} at ${lock.time.toISOString()}`],
    ["cluster ID", clusterIdText(lock.clusterId)],
  ];
}

function statusLines(status: NodeStatus | undefined): Line[] {
  if (status === undefined) return [["phase", "the bootstrapper has not run on this node yet"]];
  const { nodeName, address, role, clusterName, evidence, step, waitsFor, warnings = [] } = status;
  const node = [nodeName, address, role].filter((part) => part !== undefined).join(", ");
  return [
    ["phase", `${status.phase} (${status.updated})`],
    ...(node === "" ? [] : [["node", node] as const]),
    ...(clusterName === undefined ? [] : [["cluster", clusterName] as const]),
    ...(evidence === undefined ? [] : [["evidence", evidence] as const]),
    ...(step === undefined ? [] : [["step", step] as const]),
    ...(waitsFor === undefined ? [] : [["waits for", waitsFor] as const]),
    ...refusalLines("last refusal", status.lastRefusal),
    ...refusalLines("error", status.error),
    ...warnings.map((warning) => ["warning", warning] as const),
  ];
}

function renewalLines(record: RenewalRecord | undefined, nowMs: number): Line[] {
  if (record === undefined) return [];
  const { client, serving, issuedBy, attested, refusal } = record;
  const end = client.notAfter < serving.notAfter ? client.notAfter : serving.notAfter;
  const isOver = Date.parse(end) < nowMs;
  const issuer = issuedBy === "attestation" ? "" : ", issued by this control plane itself";
  return [
    ["attested", attested ?? "not by a join service: this node founded its cluster"],
    ["certificates", `${isOver ? "ended at" : "valid until"} ${end}${issuer}`],
    ...refusalLines("not renewed", refusal),
  ];
}

function refusalLines(label: string, refusal: StatusRefusal | undefined): Line[] {
  if (refusal === undefined) return [];
  const by = refusal.peer === undefined ? "" : ` by ${refusal.peer}`;
  const { checks = [] } = refusal;
  return [
    [label, `${refusal.message} [${refusal.code}]${by} (${refusal.time})`],
    ...factsBeside(checks, refusal.details).map(([key, value]): Line => ["", `${key}: ${value}`]),
    ...checks.flatMap(({ check, expected, seen, message }): Line[] => [
      ["", `check ${check}: ${message}`],
      ["", `  expected  ${expected}`],
      ["", `  seen      ${seen}`],
    ]),
    ...(refusal.next === undefined ? [] : [["", `next: ${refusal.next}`] as const]),
  ];
}
