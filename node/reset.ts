/**
 * `bootstrapper reset`: makes this node fresh again.
 *
 * The steps are a table. Each may be repeated, and none relies on an earlier run having ended: killed anywhere, the reset
 * is run again from the first. Until the last step `run` refuses to work, as a mark says that the node is neither fresh nor
 * a member.
 *
 * @module
 */
import { join } from "node:path";
import { CRI_SOCKET } from "../kubernetes/documents.ts";
import { LockFile } from "../nodelock/file.ts";
import { takeRunLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { emptyFolder, ensureFolder, removeIfExists } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import type { OpenEtcd } from "./own_etcd.ts";
import { leaveEtcd, OwnEtcd, withForce } from "./own_etcd.ts";
import type { NodePaths } from "./paths.ts";
import { readResetMarker, removeResetMarker, RESET_MARKER_FILE, writeResetMarker } from "./reset_marker.ts";

/** What a reset runs on. */
export interface ResetDependencies {
  /** Where everything is. */
  readonly paths: NodePaths;
  /** Runs systemctl, kubeadm and findmnt. */
  readonly commands: CommandRunner;
  /** Time. */
  readonly clock: Clock;
  /** What happens. */
  readonly log: Log;
  /** Connects to etcd. */
  readonly openEtcd: OpenEtcd;
  /** Whether to go on where the node may not leave etcd, or cannot. */
  readonly force: boolean;
}

/** A step of a reset. */
export interface ResetStep {
  /** Its name. */
  readonly name: string;
  /** What it does, for people. */
  readonly title: string;
  /** Does it; may be repeated. */
  readonly run: (reset: ResetUnderWay) => Promise<void>;
}

/** A reset while it runs. */
export interface ResetUnderWay extends ResetDependencies {
  /** When it was begun, ISO 8601. */
  readonly startedAt: string;
  /** Members of etcd that an earlier run wrote down. */
  readonly etcdPeers: readonly string[];
  /** Takes down what the person has to know at the end. */
  readonly warn: (warning: string) => void;
}

/** Called as a reset goes on, with a step's name and title. */
export type ResetProgress = (step: Pick<ResetStep, "name" | "title">, state: "started" | "done") => void;

const BOOTSTRAPPER_UNIT = "bootstrapper.service";
const JOIN_SERVICE_UNIT = "bootstrapper-join-service.service";
const KUBELET_UNIT = "kubelet.service";
const SYSTEMCTL_DEADLINE_MS = 120_000;
const FINDMNT_DEADLINE_MS = 30_000;
/** kubeadm stops and removes each container of the node, and each may take its grace period. */
const KUBEADM_DEADLINE_MS = 10 * 60_000;
const JOURNAL = "journal";
/** A file that is nowhere: kubeadm is not to ask the cluster for what it would do by itself without. */
const NO_KUBECONFIG = "/dev/null/none";
/** klog's form of a warning or an error, as `W1121 05:00:00.000000 …`. */
const KUBEADM_WARNING = /^[WE]\d{4} .*?\] (.*)$/;

/** The steps, in their order. */
export const RESET_STEPS: readonly ResetStep[] = Object.freeze([
  {
    name: "stop-join-service",
    title: "stop the join service",
    run: ({ commands }) => stopUnit(commands, JOIN_SERVICE_UNIT),
  },
  // While its own etcd still runs: that one says best who else is there.
  { name: "leave-etcd", title: "leave etcd, if this node is a member", run: leave },
  { name: "stop-kubelet", title: "stop the kubelet", run: ({ commands }) => stopUnit(commands, KUBELET_UNIT) },
  { name: "kubeadm-reset", title: "run kubeadm reset: it ends containers and mounts", run: kubeadmReset },
  { name: "kubelet-folder", title: "empty /var/lib/kubelet", run: emptyKubeletFolder },
  { name: "etcd-folder", title: "empty /var/lib/etcd", run: ({ paths }) => emptyFolder(paths.etcd) },
  { name: "kubernetes-folder", title: "empty /etc/kubernetes", run: ({ paths }) => emptyFolder(paths.kubernetes) },
  { name: "run-folder", title: "remove the keys in /run/bootstrapper", run: ({ paths }) => emptyFolder(paths.run) },
  {
    name: "state-folder",
    title: "remove the state in /var/lib/bootstrapper",
    run: ({ paths }) => emptyFolder(paths.state, keptToTheEnd(paths)),
  },
  { name: "journal", title: "remove the journal", run: ({ paths }) => removeIfExists(join(paths.state, JOURNAL)) },
  {
    name: "lock",
    title: "remove the node lock",
    run: ({ paths }) => removeIfExists(new LockFile(paths.state).path),
  },
]);

/**
 * Checks that this node may leave etcd, before anything is changed.
 *
 * @throws {BootstrapError} `precondition/etcd-quorum`, also for the last voting member; `unavailable/etcd…`. Nothing with `force`.
 */
export async function checkCanReset({ paths, openEtcd, force }: ResetDependencies): Promise<void> {
  if (force) return;
  const marker = await readResetMarker(paths.state);
  try {
    using etcd = await OwnEtcd.open(paths.kubernetes, marker?.etcdPeers ?? [], openEtcd);
    await etcd?.check();
  } catch (error) {
    throw withForce(asBootstrapError(error));
  }
}

/**
 * Resets this node.
 *
 * It holds the run lock meanwhile, and marks the node before it changes anything.
 *
 * @param onProgress Hears of each step.
 * @returns What the person has to know, sentences.
 * @throws {BootstrapError} `conflict/run` if a bootstrapper is at work that systemd did not start; `precondition/etcd-quorum`,
 *   `unavailable/etcd…`; `precondition/mounted`; `system/kubeadm-reset`, `system/unit`, `system/…`.
 */
export async function resetNode(deps: ResetDependencies, onProgress: ResetProgress): Promise<readonly string[]> {
  const { paths, commands, clock, log } = deps;
  await stopUnit(commands, BOOTSTRAPPER_UNIT);
  await ensureFolder(paths.state);
  using _runLock = await takeRunLock(paths.state);
  const begun = await readResetMarker(paths.state);
  const { startedAt, etcdPeers } = begun ?? { startedAt: clock.now().toISOString(), etcdPeers: [] };
  await writeResetMarker(paths.state, { startedAt, etcdPeers });
  log.event("info", begun === undefined ? "reset-started" : "reset-goes-on", { startedAt });
  const warnings: string[] = [];
  const reset: ResetUnderWay = { ...deps, startedAt, etcdPeers, warn: (warning) => warnings.push(warning) };
  for (const step of RESET_STEPS) {
    onProgress(step, "started");
    await step.run(reset);
    onProgress(step, "done");
  }
  // After the lock: a node with a lock and no mark would go on as the member that it is no more.
  await removeResetMarker(paths.state);
  log.event("info", "reset-done", { warnings });
  return warnings;
}

async function leave({ paths, openEtcd, etcdPeers, force, clock, startedAt, log, warn }: ResetUnderWay): Promise<void> {
  const { outcome, warning } = await leaveEtcd({
    kubernetesFolder: paths.kubernetes,
    peers: etcdPeers,
    openEtcd,
    force,
    clock,
    remember: (peers) => writeResetMarker(paths.state, { startedAt, etcdPeers: peers }),
  });
  log.event("info", "reset-etcd", { outcome });
  if (warning !== undefined) warn(warning);
}

/** Its phase `remove-etcd-member` is left out: it needs the API server, does not look at the quorum, and only warns. */
async function kubeadmReset({ commands, log, warn }: ResetUnderWay): Promise<void> {
  const argv = [
    ...["kubeadm", "reset", "--force", "--skip-phases=remove-etcd-member"] as const,
    ...[`--cri-socket=${CRI_SOCKET}`, `--kubeconfig=${NO_KUBECONFIG}`],
  ] as const;
  const { code, stderr } = await commands.run([...argv], {
    deadlineMs: KUBEADM_DEADLINE_MS,
    onLine: (line) => log.event("debug", "kubeadm", { line }),
  });
  const said = stderr.split("\n").flatMap((line) => KUBEADM_WARNING.exec(line)?.[1] ?? []);
  for (const warning of said) warn(`kubeadm: ${warning}`);
  if (code === 0) return;
  const reason = stderr.trimEnd().split("\n").at(-1) ?? "";
  throw new BootstrapError("system/kubeadm-reset", `kubeadm reset ended with exit code ${code}: ${reason}`, {
    next: "Put right what it says, and run `bootstrapper reset` again: it goes on",
    details: { exitCode: String(code) },
  });
}

/** What is still mounted there may be somebody's data: emptying the folder would empty that. */
async function emptyKubeletFolder({ paths, commands }: ResetUnderWay): Promise<void> {
  const mounts = await runOrThrow(commands, ["findmnt", "--list", "--noheadings", "--output", "TARGET"], {
    deadlineMs: FINDMNT_DEADLINE_MS,
  });
  const below = mounts.split("\n").map((line) => line.trim()).filter((path) => path.startsWith(`${paths.kubelet}/`));
  if (below.length > 0) {
    throw new BootstrapError("precondition/mounted", `Cannot empty ${paths.kubelet} as volumes are mounted there`, {
      next: "Unmount them, or restart the machine, and run `bootstrapper reset` again: it goes on",
      details: { mounts: below.join(", ") },
    });
  }
  await emptyFolder(paths.kubelet);
}

/** What is left of the state folder until the last steps. The run lock is held, and stays: it is the same file for everybody. */
function keptToTheEnd(paths: NodePaths): readonly string[] {
  return [RESET_MARKER_FILE, JOURNAL, "run.lock"].map((name) => join(paths.state, name))
    .concat(new LockFile(paths.state).path);
}

/** Stops a unit. One that is not there is not running. */
async function stopUnit(commands: CommandRunner, unit: string): Promise<void> {
  const run = (verb: string) => commands.run(["systemctl", verb, unit], { deadlineMs: SYSTEMCTL_DEADLINE_MS });
  const { stderr } = await run("stop");
  if ((await run("is-active")).code !== 0) return;
  const reason = stderr.trimEnd().split("\n").at(-1) ?? "";
  throw new BootstrapError("system/unit", `Cannot stop ${unit}: ${reason}`, {
    next: `Look at it: systemctl status ${unit}. A reset needs root`,
    details: { unit },
  });
}
