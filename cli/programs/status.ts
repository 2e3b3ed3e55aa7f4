/**
 * `bootstrapper status`: shows the state of this node, and what it waits for.
 *
 * @module
 */
import { clusterIdText } from "../../certificate/cluster_id.ts";
import type { ControlPlaneRenewalRecord } from "../../node/control_plane_renewal_record.ts";
import { readControlPlaneRenewal } from "../../node/control_plane_renewal_record.ts";
import type { MeasurementRecord } from "../../node/measurement_record.ts";
import { readMeasurementRecord } from "../../node/measurement_record.ts";
import type { NodeState, ObservedBesides, ObservedNode } from "../../node/node_state.ts";
import { observe, stateOf } from "../../node/node_state.ts";
import type { EndpointsStatus, FoundingStatus, MetadataStatus, NodeStatus, StatusRefusal } from "../../node/status.ts";
import { readStatus, statusRefusal } from "../../node/status.ts";
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

/** What this machine is, as far as it is known. */
export interface ThisMachine {
  /** The UUID that the firmware gives the machine. */
  readonly machineId?: string;
  /** The ID of this boot. */
  readonly bootId?: string;
}

/**
 * Prints the state of this node: from the files that the bootstrapper has written, from whether a process works on the
 * node, and from what the kubelet has.
 *
 * A file that cannot be read is said in its place, and hides nothing else.
 *
 * @throws {BootstrapError} At the end, why the lock cannot be read: `malformed/lock-record`. With `--svg`,
 *   `malformed/timeline`; `usage/output` if the output is JSON. `system/…`.
 */
export async function status(
  options: StatusOptions,
  context: CliContext,
  { machineId, bootId }: ThisMachine = {},
): Promise<void> {
  const { output, isSvg } = options;
  const { paths, clock, terminal } = context;
  const nowMs = clock.now().getTime();
  if (isSvg) {
    const timeline = await readTimeline(paths.timeline);
    if (output === "json") {
      throw new BootstrapError("usage/output", "Cannot print a picture as JSON: remove --svg or --output json");
    }
    return context.print(timelineSvg(timeline, { title: "Bootstrap of this node", nowMs }));
  }
  const timeline = await readable(readTimeline(paths.timeline));
  const lock = await readable(new LockFile(paths.state).read());
  const document = await readable(readStatus(paths.status));
  const measured = await readable(readMeasurementRecord(paths.state));
  const renewal = await readable(readRenewalRecord(paths.state));
  const own = await readable(readControlPlaneRenewal(paths.state));
  const besides = await observe(paths, lock.value, present("machineId", machineId));
  const node: ObservedNode = { status: withErrorOfNow(document.value, besides), lock: lock.value, ...besides };
  // Nothing can be said of a node whose lock cannot be read.
  const state = lock.error === undefined ? stateOf(node) : "failed";
  const all = [lock, document, measured, renewal, own, timeline];
  const unreadable = all.flatMap(({ error }) => error === undefined ? [] : [error]);
  const { isAlive, reset, membership } = node;
  const membershipError = state === "failed" ? node.membershipError : undefined;
  const result = {
    lock: lock.value === undefined ? null : lockJson(lock.value),
    status: state === "fresh" || document.error !== undefined
      ? null
      : { ...node.status, phase: state, ...present("isAlive", isAlive) },
    ...(reset === undefined ? {} : { reset: { startedAt: reset.startedAt } }),
    ...(membership === undefined ? {} : {
      member: {
        ...membership,
        ...(membershipError === undefined ? {} : { error: statusRefusal(membershipError, clock.now()) }),
      },
    }),
    ...(measured.value === undefined
      ? {}
      : { measured: { ...measured.value, ...present("isOfThisBoot", isOfThisBoot(measured.value, bootId)) } }),
    renewal: renewal.value ?? null,
    ...present("controlPlaneRenewal", own.value),
    timeline: timeline.value?.phases ?? [],
    ...(unreadable.length === 0 ? {} : { unreadable: unreadable.map(({ code, message }) => ({ code, message })) }),
  };
  const lines = [
    ...(lock.error === undefined ? lockLines(lock.value) : [unreadableLine("lock", lock.error)]),
    ...(document.error === undefined ? statusLines(state, node) : [unreadableLine("phase", document.error)]),
    ...(membershipError === undefined ? [] : refusalLines("error", statusRefusal(membershipError, clock.now()))),
    ...(measured.error === undefined
      ? measuredLines(measured.value, bootId)
      : [unreadableLine("measured", measured.error)]),
    ...(renewal.error === undefined
      ? renewalLines(renewal.value, nowMs)
      : [unreadableLine("certificates", renewal.error)]),
    ...(own.error === undefined ? ownLines(own.value, nowMs) : [unreadableLine("control plane", own.error)]),
    ...(timeline.error === undefined ? [] : [unreadableLine("timeline", timeline.error)]),
  ];
  const table = lines.map(([label, value]) => `${label.padEnd(14)}${printable(value)}\n`).join("");
  const picture = timelineText(timeline.value ?? { phases: [] }, { nowMs, width: terminal.columns });
  printResult(context, output, result, `${table}\n${picture}`);
  if (lock.error !== undefined) throw lock.error;
}

/**
 * Leaves out why the last start found the node to be no member, if something is seen to be wrong now: that may be
 * another thing.
 */
function withErrorOfNow(
  status: NodeStatus | undefined,
  { membershipError }: ObservedBesides,
): NodeStatus | undefined {
  if (membershipError === undefined || status?.error?.code !== membershipError.code) return status;
  const { error: _, ...rest } = status;
  return rest;
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

/** What a person has to know about a state that its name alone does not say. */
function explanationOf(state: NodeState, { status, reset, isAlive }: ObservedNode): string {
  switch (state) {
    case "killed":
      return `the bootstrapper ended without a word while it was ${status?.phase}; it goes on when it is started again`;
    case "resetting":
      return `a reset began at ${reset?.startedAt}`;
    case "reset-interrupted":
      return `a reset began at ${reset?.startedAt}, and has not ended; run \`bootstrapper reset\` again: it goes on`;
    case "locked":
      return "the bootstrapper goes on when it is started again";
    case "stopped":
      return "the bootstrapper was asked to stop; it goes on when it is started again";
    case "starting":
      return status?.waitsFor === undefined
        ? "the configuration has not been read yet"
        : "a pause after several starts that failed";
    case "fresh":
    case "member":
    case "failed":
      return "";
    case "detecting":
    case "racing":
    case "initialising":
    case "joining":
    case "leaving":
      return isAlive === undefined ? "only root can see whether the bootstrapper still runs" : "";
  }
}

function statusLines(state: NodeState, observed: ObservedNode): Line[] {
  const { status, membership } = observed;
  if (state === "fresh") return [["phase", "the bootstrapper has not run on this node yet"]];
  const explanation = explanationOf(state, observed);
  const member = membership === undefined ? [] : [["member since", membership.since] as const];
  const phase = [state, ...(explanation === "" ? [] : [explanation])].join(": ");
  if (status === undefined) return [["phase", phase], ...member];
  const { nodeName, address, role, clusterName, evidence, step, waitsFor, failures, warnings = [] } = status;
  const node = [nodeName, address, role].filter((part) => part !== undefined).join(", ");
  return [
    ["phase", `${phase} (${status.updated})`],
    ...member,
    ...(failures === undefined || failures < 2 ? [] : [["failures", `${failures} starts in a row`] as const]),
    ...(node === "" ? [] : [["node", node] as const]),
    ...(clusterName === undefined ? [] : [["cluster", clusterName] as const]),
    ...(evidence === undefined ? [] : [["evidence", evidence] as const]),
    ...(step === undefined ? [] : [["step", step] as const]),
    ...(waitsFor === undefined ? [] : [["waits for", waitsFor] as const]),
    ...(status.metadata === undefined ? [] : [metadataLine(status.metadata)]),
    ...(status.endpoints ?? []).map((one) => ["endpoints", endpointsText(one)] as const),
    ...refusalLines("last refusal", status.lastRefusal),
    ...refusalLines("error", status.error),
    ...warnings.map((warning) => ["warning", warning] as const),
    ...(status.founding === undefined ? [] : foundingLines(status.founding)),
  ];
}

function metadataLine({ source, ...values }: MetadataStatus): Line {
  const list = Object.entries(values).map(([field, value]) => `${field} ${value}`);
  return ["metadata", `from ${source}: ${list.join(", ")}`];
}

function endpointsText({ source, count, endpoints, leftOut = 0, failure }: EndpointsStatus): string {
  const more = count - endpoints.length;
  const there = count === 0
    ? "none yet"
    : `${endpoints.join(", ")}${more === 0 ? "" : ` and ${more} more`}${leftOut === 0 ? "" : `; ${leftOut} not used`}`;
  return `${source}: ${there}${failure === undefined ? "" : ` (${failure})`}`;
}

/** Who founds the cluster with this node, and what keeps them. */
function foundingLines({ summary, founders, unmet, conflicts, refusedHellos, waitsFor }: FoundingStatus): Line[] {
  const refused = Object.entries(refusedHellos).map(([reason, count]) => `${reason} ${count}`);
  const lines: (readonly [label: string, value: string | undefined])[] = [
    ["founding", summary],
    ...founders.map(({ name, address, state, why }) =>
      ["founder", `${name}, ${address}: ${state}${why === undefined ? "" : ` (${why})`}`] as const
    ),
    ...unmet.map(({ address, why }) => ["not met", `${address}: ${why}`] as const),
    ...conflicts.map((conflict) => ["conflict", conflict] as const),
    ["refused", refused.length === 0 ? undefined : `hellos: ${refused.join(", ")}`],
    ["awaits", waitsFor && waitText(waitsFor)],
  ];
  return lines.flatMap(([label, value]) => value === undefined ? [] : [[label, value] as const]);
}

function waitText({ what, from, since, error }: NonNullable<FoundingStatus["waitsFor"]>): string {
  const who = from.length === 0 ? "" : ` from ${from.join(", ")}`;
  return `${what}${who} since ${since}${error === undefined ? "" : `; last error: ${error}`}`;
}

/** Whether a record is of this boot; `undefined` if it does not say so, or if this boot's ID is not known. */
function isOfThisBoot(record: MeasurementRecord, bootId: string | undefined): boolean | undefined {
  return record.bootId === undefined || bootId === undefined ? undefined : record.bootId === bootId;
}

function measuredLines(record: MeasurementRecord | undefined, bootId: string | undefined): Line[] {
  if (record === undefined) return [];
  const { time, tries, error } = record;
  if (isOfThisBoot(record, bootId) === false) {
    const next = "see `systemctl status bootstrapper-measure`: it still works, was ended, or was never started";
    return [["not measured", `not at this boot; the last outcome is of an earlier one (${time})`], [
      "",
      `next: ${next}`,
    ]];
  }
  if (error !== undefined) return refusalLines(`not measured`, error);
  return [["measured", tries === 1 ? time : `${time}, at try ${tries}`]];
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

/** What a control plane certifies for itself. */
function ownLines(record: ControlPlaneRenewalRecord | undefined, nowMs: number): Line[] {
  if (record === undefined) return [];
  const { until, renewedAt, pending } = record;
  const isOver = Date.parse(until) < nowMs;
  const renewed = renewedAt === undefined ? "" : `, renewed at ${renewedAt}`;
  const next = "see `systemctl status bootstrapper-control-plane-renew`, or run `bootstrapper control-plane renew`";
  return [
    ["control plane", `its own certificates ${isOver ? "ended at" : "are valid until"} ${until}${renewed}`],
    ...(pending.length === 0 ? [] : [["", `not started anew with them yet: ${pending.join(", ")}`] as const]),
    ...(isOver || pending.length > 0 ? [["", `next: ${next}`] as const] : []),
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
