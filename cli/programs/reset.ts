/**
 * `bootstrapper reset`: returns this node to the fresh state.
 *
 * @module
 */
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { EtcdCluster } from "../../kubernetes/etcd.ts";
import type { ResetDependencies, ResetStep } from "../../node/reset.ts";
import { checkCanReset, RESET_STEPS, resetNode } from "../../node/reset.ts";
import { isResetUnderWay } from "../../node/reset_marker.ts";
import { readStatus } from "../../node/status.ts";
import { LockFile } from "../../nodelock/file.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import { present } from "../../platform/present.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printable, printResult } from "../output.ts";

/** The node's own facts. Facts that cannot be read are absent: a reset must work on a broken node too. */
interface Self {
  readonly nodeName?: string;
  readonly role?: string;
  readonly clusterId?: string;
}

/** The options of `reset`. */
export interface ResetOptions {
  /** Whether to skip the confirmation. */
  readonly yes: boolean;
  /** Whether to continue if the node may not leave etcd, or cannot. */
  readonly force: boolean;
  readonly output: OutputForm;
}

/**
 * Resets this node, after confirmation.
 *
 * @param hasTpm Whether this machine has a TPM.
 */
export async function reset(options: ResetOptions, context: CliContext, hasTpm: boolean): Promise<void> {
  const { yes, force, output } = options;
  const { paths, commands, clock } = context;
  const isText = output === "text";
  const deps: ResetDependencies = {
    ...{ paths, commands, clock, force },
    // A person reads the printed steps instead.
    log: isText ? silentLog : context.log,
    openEtcd: (endpoints, credentials) => new EtcdCluster(endpoints, credentials),
  };
  const self = await readSelf(context);
  await checkCanReset(deps);
  const goesOn = await isResetUnderWay(paths.state);
  if (isText || !yes) context.printError(planText(self, goesOn));
  if (!yes && !await context.terminal.confirm("Go on?")) {
    throw new BootstrapError("aborted/prompt", "The reset was not started, as the answer was no", {
      next: "Nothing was changed",
    });
  }
  const warnings = await resetNode(deps, (step, state) => {
    if (isText && state === "started") context.print(`${numberOf(step)} ${step.title}\n`);
  });
  const next = whatIsLeft(self, hasTpm);
  const result = { state: "fresh", ...self, warnings, next };
  const lines = [...warnings.map((warning) => `Warning: ${printable(warning)}.`), "This node is fresh again."];
  printResult(context, output, result, [...lines, ...next.map((sentence) => `Next: ${sentence}.`)].join("\n"));
}

async function readSelf({ paths }: CliContext): Promise<Self> {
  const status = await readStatus(paths.status).catch(() => undefined);
  const lock = await new LockFile(paths.state).read().catch(() => undefined);
  return {
    ...present("nodeName", status?.nodeName),
    ...present("role", status?.role),
    ...(lock === undefined ? {} : { clusterId: clusterIdText(lock.clusterId) }),
  };
}

function planText({ nodeName, role, clusterId }: Self, goesOn: boolean): string {
  const what = `this node${nodeName === undefined ? "" : `, ${printable(nodeName)}`}`;
  const who = clusterId === undefined ? "belongs to no cluster" : `${printable(role ?? "member")} of ${clusterId}`;
  return [
    `${goesOn ? "The interrupted reset continues with" : "This resets"} ${what} (${who}):`,
    ...RESET_STEPS.map((step) => `${numberOf(step)} ${step.title}`),
    "What Kubernetes, etcd and the bootstrapper keep on this node is lost for good.",
    "",
  ].join("\n");
}

function numberOf({ name }: Pick<ResetStep, "name">): string {
  return String(RESET_STEPS.findIndex((step) => step.name === name) + 1).padStart(4) + ".";
}

function whatIsLeft({ nodeName, clusterId }: Self, hasTpm: boolean): readonly string[] {
  return [
    ...(clusterId === undefined ? [] : [
      "the cluster still has records of this node, which only an operator can remove: run " +
      `\`bootstrapper node remove ${printable(nodeName ?? "NAME")}\` there`,
    ]),
    ...(hasTpm
      ? [
        "restart this machine: if its TPM has the lock in PCR 15, only that clears it, and `bootstrapper run` refuses " +
        "to work until then",
      ]
      : ["the next restart removes Kubernetes' network rules; `systemctl start bootstrapper` starts a new bootstrap"]),
  ];
}
